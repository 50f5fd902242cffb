// Nobody keeps the others waiting: of each turn of the event loop the sockets of one owner get a slice. When that is used
// up they are not read until the next turn, so that a flood from one address costs that address its speed. Whoever is
// alone, or stays within his slice, notices nothing of it.

import type { Duplex } from 'node:stream'

/** Of one turn, in milliseconds. */
const SLICE_MS = 25
/** Pausing and resuming costs at most this share of what is done in between. */
const OVERHEAD_SHARE = 0.1

/** Something that is read from. */
export interface FairSource {
  readonly tcp: Duplex
  /** Whether somebody else has reasons not to read from it. */
  isHeld(): boolean
}

class Group {
  readonly sources = new Set<FairSource>()
  spentMs = 0
  /** What pausing and resuming all of them took when it was last done. */
  switchingMs = 0
  paused: FairSource[] | undefined

  get sliceMs(): number {
    return Math.max(SLICE_MS, this.switchingMs / OVERHEAD_SHARE)
  }
}

export class FairReads {
  readonly #now: () => number
  readonly #groups = new Map<string, Group>()
  /** Those that did something in this turn. */
  readonly #active = new Set<Group>()
  #startedAt = 0

  /** @param now milliseconds; the real time that work takes */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** From now on `source` shares the slice of `owner`, until its socket closes. Whoever listens to its data already is timed. */
  add(source: FairSource, owner: string): void {
    const group = this.#groups.get(owner) ?? new Group()
    this.#groups.set(owner, group)
    group.sources.add(source)
    const { tcp } = source
    tcp.prependListener('data', () => {
      this.#startedAt = this.#now()
    })
    tcp.on('data', () => this.#spent(group))
    tcp.once('close', () => {
      group.sources.delete(source)
      if (group.sources.size === 0 && this.#groups.get(owner) === group) this.#groups.delete(owner)
    })
    // One that comes in the middle of a pause waits with the others.
    if (group.paused) this.#pause(source, group.paused)
  }

  #spent(group: Group): void {
    group.spentMs += this.#now() - this.#startedAt
    if (this.#active.size === 0) setImmediate(() => this.#nextTurn())
    this.#active.add(group)
    if (group.paused || group.spentMs < group.sliceMs) return
    const begun = this.#now()
    group.paused = []
    for (const source of group.sources) this.#pause(source, group.paused)
    group.switchingMs = this.#now() - begun
  }

  #pause(source: FairSource, paused: FairSource[]): void {
    if (source.tcp.isPaused() || source.isHeld()) return
    source.tcp.pause()
    paused.push(source)
  }

  #nextTurn(): void {
    for (const group of this.#active) {
      group.spentMs = 0
      const { paused } = group
      group.paused = undefined
      if (!paused) continue
      const begun = this.#now()
      for (const { tcp, isHeld } of rotated(paused)) if (!tcp.destroyed && !isHeld()) tcp.resume()
      group.switchingMs += this.#now() - begun
    }
    this.#active.clear()
  }
}

/** The last first: whoever was not reached in this turn has the better chance in the next. */
function rotated(sources: readonly FairSource[]): readonly FairSource[] {
  return sources.toReversed()
}
