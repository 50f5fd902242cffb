// What a process knows of the sessions that it owns.

import type { Claimed } from './sessionWire.ts'

export interface Own {
  /** Which owner of the session this is: the engine refuses the others. */
  fence: number
  /** Milliseconds that the engine keeps it without a word. */
  readonly keepMs: number
  /** Recorded as it was taken; 0 for none. */
  epoch: number
  /** The highest that is known to be recorded; 0 for none. */
  latest: number
  /** Batches that are recorded. */
  seq: number
  /** When the engine was last told to keep it, on the clock's scale. */
  keptAt: number
  /** Whether something may lie in its inbox. */
  hasPosts: boolean
  /** Whether its owner takes messages of the inbox. */
  collects: boolean
  /** Its inbox is being read. */
  reading: boolean
  /** The last message of the inbox that was handed over. */
  after: string
}

export class Owned {
  readonly #all = new Map<string, Own>()

  get size(): number {
    return this.#all.size
  }

  get(sid: string): Own | undefined {
    return this.#all.get(sid)
  }

  sids(): string[] {
    return [...this.#all.keys()]
  }

  /** One that is about to begin. */
  fresh(keepMs: number): Own {
    return { ...blank, fence: 1, keepMs, epoch: 0, latest: 0, seq: 0, keptAt: 0 }
  }

  begun(sid: string, own: Own): void {
    this.#all.set(sid, own)
  }

  /** It was taken, perhaps once more: two connections may have asked for it. */
  set(sid: string, { fence, keepMs, posted }: Claimed, epoch: number, now: number): void {
    const known = this.#all.get(sid) ?? { ...blank, fence, keepMs, epoch, latest: epoch, seq: 0, keptAt: now }
    this.#all.set(sid, known)
    Object.assign(known, {
      fence,
      epoch: Math.max(epoch, known.epoch),
      latest: Math.max(epoch, known.latest),
      seq: 0,
      keptAt: now,
      hasPosts: known.hasPosts || posted > 0,
    })
  }

  /** Somebody takes the messages of its inbox from now on. Who did so before may have gone with some of them: all that lie there are read. */
  collect(sid: string): Own | undefined {
    const known = this.#all.get(sid)
    if (!known) return undefined
    const own = known.collects ? { ...known, ...blank, hasPosts: true } : known
    own.collects = true
    this.#all.set(sid, own)
    return own
  }

  delete(sid: string): void {
    this.#all.delete(sid)
  }

  clear(): void {
    this.#all.clear()
  }

  /** Those that the engine was last told to keep before `before`. */
  keptBefore(before: number): string[] {
    return [...this.#all].filter(([, { keptAt }]) => keptAt < before).map(([sid]) => sid)
  }
}

const blank = { hasPosts: false, collects: false, reading: false, after: '-' } as const
