// What says that a process lives: a key that expires unless it is renewed. All sessions of the process hang on this one lease, so
// that ten thousand of them cost no more than one. A process whose lease has run out is dead for ever under that name: it
// enters again under another.

import type { Clock, TimerHandle } from '../core/clock.ts'
import { sleep } from '../core/sleep.ts'
import { StorageError } from '../storage/StorageError.ts'
import type { EngineLink } from './EngineLink.ts'
import { vital } from './sessionScripts.ts'

export interface LeaseSettings {
  /** Of all keys. */
  readonly prefix: string
  /** Names the store, and so the channel that it listens to. */
  readonly store: string
  /** Milliseconds. */
  readonly leaseMs: number
}

/** The key that holds while a node lives. */
export const nodeKey = (prefix: string, node: string) => `${prefix}node:${node}`
/** The names of all nodes, those included that have died and still have something to leave. */
export const nodesKey = (prefix: string) => `${prefix}nodes`
/** The store that a node belongs to. */
export const storeOf = (node: string) => node.slice(0, node.indexOf('.'))

/** Own time is trusted this much less than the engine's: clocks of two machines do not run alike. */
const TRUST = 0.9
const RETRY_MS = 100
/** An answer that takes longer than this part of a lease counts as none. */
const UNANSWERED = 5

export class NodeLease {
  /** The name of this life; empty while there is none. */
  node = ''
  /** How often it has run out. */
  lapses = 0
  readonly #link: EngineLink
  readonly #settings: LeaseSettings
  readonly #clock: Clock
  readonly #onLapse: (node: string) => void
  #lives = 0
  /** By our own clock; not above what the engine grants. */
  #until = Number.NEGATIVE_INFINITY
  #timer: TimerHandle
  #entering: Promise<void> | undefined
  #lapsing = false
  #over = false
  /** Since when the engine owes an answer. */
  #waitingSince: number | undefined

  constructor(link: EngineLink, settings: LeaseSettings, clock: Clock, onLapse: (node: string) => void) {
    this.#link = link
    this.#settings = settings
    this.#clock = clock
    this.#onLapse = onLapse
  }

  /** Whether it holds, by our own clock. Once it does not, `onLapse` follows after the current step. */
  get holds(): boolean {
    if (this.node === '') return false
    if (this.#clock.now() < this.#until) return true
    if (!this.#lapsing) {
      this.#lapsing = true
      const { node } = this
      queueMicrotask(() => this.#lapse(node))
    }
    return false
  }

  /** Whether the engine answers: false well before the lease runs out, so that clients can be sent elsewhere in time. */
  get isAnswered(): boolean {
    const { leaseMs } = this.#settings
    return this.#waitingSince === undefined || this.#clock.now() - this.#waitingSince < leaseMs / UNANSWERED
  }

  /**
   * Resolves when it holds. Gives up after `withinMs`.
   * @throws StorageError, the engine's latest
   */
  async enter(withinMs: number): Promise<void> {
    if (this.holds) return
    this.#needOpen()
    this.#entering ??= this.#enter(this.#clock.now() + withinMs).finally(() => {
      this.#entering = undefined
    })
    await this.#entering
  }

  /** Gives it up. Never rejects. */
  async leave(): Promise<void> {
    const { node } = this
    this.#end()
    if (node === '') return
    await this.#link.command(['DEL', this.#key(node)], this.#key(node)).catch(() => {})
  }

  /** Gives it up for good. */
  async close(): Promise<void> {
    this.#over = true
    await this.leave()
  }

  #key(node: string): string {
    return nodeKey(this.#settings.prefix, node)
  }

  #needOpen(): void {
    if (this.#over) throw new StorageError('the session store is closed', { reason: 'closed' })
  }

  async #enter(deadline: number): Promise<void> {
    const { prefix, store, leaseMs } = this.#settings
    for (;;) {
      this.#needOpen()
      this.#lives += 1
      const node = `${store}.${this.#lives}`
      try {
        // What is done once is not to be taken off the first lease.
        this.#waitingSince ??= this.#clock.now()
        await this.#link.checkVersion()
        const sentAt = this.#clock.now()
        this.#waitingSince ??= sentAt
        await Promise.all([
          this.#link.run(vital, [this.#key(node)], ['SET', '1', 'PX', `${leaseMs}`]),
          // Before it owns anything, or nobody would look for what it leaves.
          this.#link.run(vital, [nodesKey(prefix)], ['ZADD', `${this.#clock.wallNow()}`, node]),
        ])
        this.#waitingSince = undefined
        this.#needOpen()
        const until = sentAt + leaseMs * TRUST
        const left = until - this.#clock.now()
        if (left <= 0) throw tooSlow(leaseMs)
        this.node = node
        this.#until = until
        this.#plan(Math.min(leaseMs, left) / 3)
        return
      } catch (error) {
        if (this.#clock.now() + RETRY_MS >= deadline || this.#over) throw error
        await sleep(this.#clock, RETRY_MS, undefined, () => undefined, true)
      }
    }
  }

  #plan(delayMs: number): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = this.#clock.setTimeout(() => void this.#renew(), delayMs, true)
  }

  async #renew(): Promise<void> {
    const { node } = this
    if (!this.holds) return
    const sentAt = this.#clock.now()
    const { leaseMs } = this.#settings
    this.#waitingSince ??= sentAt
    // Asked again well before it has run out, however long the answer takes.
    this.#plan(leaseMs / 6)
    try {
      const renewed = await this.#link.command(['PEXPIRE', this.#key(node), `${leaseMs}`], this.#key(node))
      this.#waitingSince = undefined
      if (node !== this.node) return
      if (renewed === 0) {
        // The engine knows nothing of it any more: it was too late, or the engine has lost its memory.
        this.#until = Number.NEGATIVE_INFINITY
        void this.holds
        return
      }
      this.#until = Math.max(this.#until, sentAt + leaseMs * TRUST)
      if (this.holds) this.#plan(leaseMs / 3)
    } catch {
      // Tried again when that is due.
    }
  }

  #end(): void {
    this.#clock.clearTimeout(this.#timer)
    this.node = ''
    this.#until = Number.NEGATIVE_INFINITY
    this.#lapsing = false
  }

  #lapse(node: string): void {
    if (node !== this.node) return
    this.#end()
    this.lapses += 1
    this.#onLapse(node)
  }
}

function tooSlow(leaseMs: number): StorageError {
  return new StorageError(
    `redisSessionStore: the engine answers so slowly that a lease of ${leaseMs} ms is over before it is known (option "lease")`,
    { reason: 'unavailable' },
  )
}
