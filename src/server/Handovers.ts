// Sessions that another process has asked for, until they are over here.

import type { Clock } from '../core/clock.ts'
import { sleep } from '../core/sleep.ts'
import type { SessionHost } from './sessionHost.ts'

export class Handovers {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #all = new Map<
    string,
    { readonly host: SessionHost; readonly moved: Promise<number | undefined> }
  >()

  /** @param timeoutMs how long handlers that run have to settle */
  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  get size(): number {
    return this.#all.size
  }

  has(sid: string): boolean {
    return this.#all.has(sid)
  }

  /** Resolves when the session is over here, to the `suspect` of its next owner; nothing when nobody has asked for it. */
  of(sid: string): Promise<number | undefined> | undefined {
    return this.#all.get(sid)?.moved
  }

  /** Resolves as `of`, after `then`. */
  begin(host: SessionHost, then: () => void): Promise<number | undefined> {
    const moved = host
      .moveAway((settled) => this.#within(settled))
      .then((suspect) => {
        this.#all.delete(host.sid)
        then()
        return suspect
      })
    this.#all.set(host.sid, { host, moved })
    return moved
  }

  /** There is no time to wait for handlers any more. */
  hurry(): void {
    for (const { host } of this.#all.values()) host.takenOver('takenOver')
  }

  async #within(settled: Promise<void>): Promise<void> {
    const over = new AbortController()
    const waited = sleep(this.#clock, this.#timeoutMs, over.signal, () => undefined, true).catch(() => {})
    await Promise.race([settled, waited])
    over.abort()
  }
}
