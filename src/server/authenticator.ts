// Who is at the other end, asked of the app, within a time.

import type { IncomingMessage } from 'node:http'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import { LoginCheck } from './principal.ts'
import { HttpRefusal } from './readJson.ts'

export class Authenticator {
  readonly #options: ResolvedBackendOptions
  readonly #check: LoginCheck

  constructor(options: ResolvedBackendOptions) {
    this.#options = options
    const { authenticateTimeout: timeoutMs, clock, logger } = options
    this.#check = new LoginCheck({
      clock,
      timeoutMs,
      onError: (error) => logger?.warn('authenticate failed:', error),
    })
  }

  /**
   * As `authenticate`, for a session: its token, which browsers can send in the first frame only, is shown to the app where
   * those of other requests are.
   * @returns `undefined` for who is not known, or when nobody says in time
   */
  async authenticateSession(
    request: IncomingMessage,
    auth: string | undefined,
  ): Promise<Principal | undefined> {
    if (auth !== undefined) request.headers.authorization = `Bearer ${auth}`
    try {
      return await this.authenticate(request)
    } catch (error) {
      if (error instanceof HttpRefusal) return undefined
      throw error
    }
  }

  /** @throws HttpRefusal 401 for who is not known; 503 when nobody says in time */
  async authenticate(request: IncomingMessage): Promise<Principal | undefined> {
    const { authenticate } = this.#options
    if (!authenticate) return undefined
    const login = await this.#check.ask(() => authenticate(request))
    if (login.kind === 'somebody') return login.principal
    if (login.kind === 'late')
      throw new HttpRefusal(503, 'authentication took too long', 'authenticateTimeout')
    throw new HttpRefusal(401, 'not authenticated', 'authenticate')
  }
}
