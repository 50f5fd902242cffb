// Who a connection is: what the app's `authenticate` says, in time, or nobody.

import type { IncomingMessage } from 'node:http'
import type { Clock } from '../core/clock.ts'
import { timeout } from '../policies/timeout/timeout.ts'
import type { ResolvedSessionServerOptions } from './sessionServerOptions.ts'

/**
 * @param auth what the client shows; without it, what its request does
 * @returns `undefined` for nobody, also when the app fails, is late or answers with no text: `onError` hears why
 */
export async function principalOf(
  authenticate: NonNullable<ResolvedSessionServerOptions['authenticate']>,
  { request, auth }: { request: IncomingMessage; auth: string | undefined },
  { clock, timeoutMs, onError }: { clock: Clock; timeoutMs: number; onError: (error: unknown) => void },
): Promise<string | undefined> {
  try {
    const principal = await timeout(timeoutMs, { clock, unref: true }).execute(() =>
      authenticate(request, auth ?? bearerOf(request)),
    )
    if (principal === undefined || typeof principal === 'string') return principal
    throw new TypeError(`authenticate must give a string or undefined, gave ${typeof principal}`)
  } catch (error) {
    onError(error)
    return undefined
  }
}

function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer +(\S.*)$/i.exec(headers.authorization ?? '')?.[1]
}
