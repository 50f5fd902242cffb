// Who is at the other end, asked of the app, within a time.

import type { IncomingMessage } from 'node:http'
import { timeout } from '../policies/timeout/timeout.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import { HttpRefusal } from './readJson.ts'

export class Authenticator {
  readonly #options: ResolvedBackendOptions

  constructor(options: ResolvedBackendOptions) {
    this.#options = options
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
    const { authenticate, authenticateTimeout, clock, logger } = this.#options
    if (!authenticate) return undefined
    let principal: Principal | undefined
    try {
      principal = await timeout(authenticateTimeout, { clock, unref: true }).execute(() =>
        authenticate(request),
      )
    } catch (error) {
      logger?.warn('authenticate failed:', error)
      if ((error as { isTimeoutError?: unknown } | null)?.isTimeoutError === true) {
        throw new HttpRefusal(503, 'authentication took too long')
      }
    }
    if (principal === undefined) throw new HttpRefusal(401, 'not authenticated')
    return principal
  }
}
