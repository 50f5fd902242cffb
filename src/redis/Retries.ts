// Calls of the session store that are tried again, and for how long: a look-up until its deadline, a write for as long as the
// process owns what it writes.

import { sleep } from '../core/sleep.ts'
import { isStorageError } from '../storage/StorageError.ts'
import { type EngineLink, isHopeless } from './EngineLink.ts'
import type { NodeLease } from './NodeLease.ts'
import type { RedisArgument, RedisReply } from './RedisEngine.ts'
import type { Script } from './Script.ts'
import type { StoreSettings } from './sessionStoreOptions.ts'

const RETRY_MS = 20
const MAX_RETRY_MS = 500

export class Retries {
  readonly #settings: StoreSettings
  readonly #link: EngineLink
  readonly #lease: NodeLease
  readonly #report: (error: unknown) => void
  #isAway = false
  #stopped = false

  constructor(settings: StoreSettings, link: EngineLink, lease: NodeLease, report: (error: unknown) => void) {
    this.#settings = settings
    this.#link = link
    this.#lease = lease
    this.#report = report
  }

  /** What fails from now on is not tried again. */
  stop(): void {
    this.#stopped = true
  }

  /** Tries again until it works or the deadline has passed; without a deadline once. */
  async until<T>(deadline: number | undefined, run: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      try {
        const result = await run()
        this.#isAway = false
        return result
      } catch (error) {
        if (deadline === undefined || this.#stopped || isHopeless(error)) throw error
        if (this.#settings.clock.now() >= deadline) throw error
        await this.#pause(tries)
      }
    }
  }

  /**
   * Tries again for as long as the lease holds: after that nothing is ours to write, and `undefined` says so. A full engine is
   * waited for a while only. That the engine is away is reported once, until it is back.
   * @returns the answer, and whether it may be that of an attempt which had been done before
   */
  async whileOwner(
    node: string,
    script: Script,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<{ reply: RedisReply; again: boolean } | undefined> {
    const { clock, patience, lease } = this.#settings
    const began = clock.now()
    for (let tries = 0; ; tries += 1) {
      if (node === '' || this.#lease.node !== node || !this.#lease.holds) return undefined
      try {
        const reply = await this.#link.run(script, keys, args)
        this.#isAway = false
        return { reply, again: tries > 0 }
      } catch (error) {
        if (this.#stopped || isHopeless(error)) throw error
        const waited = clock.now() - began
        if (isStorageError(error) && error.reason === 'full') {
          if (waited >= patience) throw error
        } else {
          if (!this.#isAway) this.#report(error)
          this.#isAway = true
          // The lease lies elsewhere in a cluster, and may hold for ever.
          if (waited >= lease) return undefined
        }
        await this.#pause(tries)
      }
    }
  }

  #pause(tries: number): Promise<void> {
    const { clock, random } = this.#settings
    const ms = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** tries) * (0.5 + random() / 2)
    return sleep(clock, ms, undefined, () => undefined, true)
  }
}
