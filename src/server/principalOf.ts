// Who a connection of a session is: what the app's `authenticate` says, in time, or nobody.

import type { IncomingMessage } from 'node:http'
import { bearerOf, LoginCheck, type LoginOptions } from './principal.ts'
import type { ResolvedSessionServerOptions } from './sessionServerOptions.ts'

type Authenticate = NonNullable<ResolvedSessionServerOptions['authenticate']>

const told = new WeakMap<Authenticate, Set<string>>()

/**
 * @param auth what the client shows; without it, what its request does
 * @returns `undefined` for nobody, also when the app fails, is late or gives no text: `onError` hears why
 */
export async function principalOf(
  authenticate: Authenticate,
  { request, auth }: { request: IncomingMessage; auth: string | undefined },
  options: LoginOptions,
): Promise<string | undefined> {
  const before = told.get(authenticate) ?? new Set<string>()
  told.set(authenticate, before)
  const login = await new LoginCheck(options, before).ask(() =>
    authenticate(request, auth ?? bearerOf(request.headers.authorization)),
  )
  return login.kind === 'somebody' ? login.principal : undefined
}
