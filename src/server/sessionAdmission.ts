// Who may have a session, and how many there may be: the app's word for a token, and what the table does not count.

import type { IncomingMessage } from 'node:http'
import { AddressQuota } from './AddressQuota.ts'
import { principalOf } from './principalOf.ts'
import type { SessionHost } from './sessionHost.ts'
import type { ResolvedSessionServerOptions } from './sessionServerOptions.ts'

export class SessionAdmission {
  /** Payload bytes kept for all clients. */
  keptBytes = 0
  readonly #options: ResolvedSessionServerOptions
  readonly #addresses: AddressQuota
  readonly #onError: (error: unknown) => void

  /** @param onError hears what is wrong with the app's answers */
  constructor(options: ResolvedSessionServerOptions, onError: (error: unknown) => void) {
    this.#options = options
    this.#addresses = new AddressQuota(options.maxSessionsPerPrincipal)
    this.#onError = onError
  }

  /** Whether the app says who somebody is; else everybody is the same, and addresses are counted. */
  get asks(): boolean {
    return this.#options.authenticate !== undefined
  }

  /** Resolves to whom a token speaks for; `undefined` for nobody. */
  async principalOf(request: IncomingMessage, auth: string | undefined): Promise<string | undefined> {
    const { authenticate, authenticateTimeout: timeoutMs, clock } = this.#options
    if (!authenticate) return ''
    return principalOf(authenticate, { request, auth }, { clock, timeoutMs, onError: this.#onError })
  }

  /** Whether one more session may begin. @param evict ends one of an address that was never heard from, if there is one */
  mayOpen(request: IncomingMessage, evict: (address: string) => boolean): boolean {
    const { addressOf, maxTotalQueueBytes } = this.#options
    if (this.keptBytes >= maxTotalQueueBytes && this.keptBytes > 0) return false
    if (this.asks) return true
    const address = addressOf(request)
    return this.#addresses.hasRoom(address) || evict(address)
  }

  /** Whether so many more payload bytes may be kept. */
  mayKeep(bytes: number): boolean {
    return this.keptBytes + bytes <= this.#options.maxTotalQueueBytes
  }

  /** A session has begun for this request. */
  count(host: SessionHost, request: IncomingMessage): void {
    host.address = this.#options.addressOf(request)
    this.#addresses.add(host.address)
  }

  /** A session is over. */
  discount(host: SessionHost): void {
    if (host.address !== undefined) this.#addresses.remove(host.address)
    host.address = undefined
  }
}
