// Records what one session has to remember, in order: the facts of a turn go to the store together, the next ones when
// these are recorded.

import type { Clock } from '../core/clock.ts'
import { type Entry, NEVER } from '../session/entry.ts'
import type { SessionStore, SessionWrite, StoredSession, WriteResult } from '../session/store.ts'

/** Who is told what became of it. */
export interface WriterOwner {
  /** There is something to write: `flush` is to be called, soon or at leisure. */
  schedule(writer: SessionWriter, late: boolean): void
  /** A fact is recorded. */
  stored(write: SessionWrite): void
  /** Another process owns the session by now. */
  stale(): void
  /** The store has failed; nothing of the batch is recorded. */
  failed(error: unknown): void
  /** Nothing is being written any more. */
  rested(): void
}

export class SessionWriter {
  readonly #store: SessionStore
  readonly #clock: Clock
  readonly #sid: string
  readonly #owner: WriterOwner
  #queue: SessionWrite[] = []
  /** Only the latest counts, and it may come late: without it more is remembered than is needed. */
  #prune: SessionWrite | undefined
  /** What is being written; empty when nothing is. */
  #underWay: readonly SessionWrite[] = []
  #writing = false
  #stopped = false
  /** The epoch under which the store knows us: a newer one is ours only when it is recorded. */
  #held: number

  constructor(store: SessionStore, clock: Clock, sid: string, held: number, owner: WriterOwner) {
    this.#store = store
    this.#clock = clock
    this.#sid = sid
    this.#held = held
    this.#owner = owner
  }

  /** Whether something is not recorded yet. */
  get busy(): boolean {
    return this.#writing || this.#queue.length > 0
  }

  push(write: SessionWrite): void {
    if (this.#stopped) return
    if (write.kind === 'prune') {
      if (!this.#prune) this.#owner.schedule(this, true)
      this.#prune = write
      return
    }
    this.#queue.push(write)
    if (!this.#writing && this.#queue.length === 1) this.#owner.schedule(this, false)
  }

  /** Writes what there is, unless a write is under way: what comes meanwhile follows it. */
  flush(): void {
    if (this.#writing || this.#stopped) return
    const writes = this.#prune ? [this.#prune, ...this.#queue] : this.#queue
    if (writes.length === 0) return
    this.#queue = []
    this.#prune = undefined
    this.#writing = true
    this.#underWay = writes
    let result: WriteResult | Promise<WriteResult>
    try {
      result = this.#store.write(this.#sid, this.#held, onWallClock(writes, this.#clock))
    } catch (error) {
      this.#failed(error)
      return
    }
    if (typeof result === 'string') this.#done(writes, result)
    else
      result.then(
        (known) => this.#done(writes, known),
        (error) => this.#failed(error),
      )
  }

  /** Messages that nobody knows to be recorded, the oldest first. */
  get unrecorded(): Entry[] {
    const entries = new Map<number, Entry>()
    for (const write of [...this.#underWay, ...this.#queue])
      if (write.kind === 'accept' || write.kind === 'number') entries.set(write.entry.seq, write.entry)
      else if (write.kind === 'drop') entries.delete(write.seq)
    return [...entries.values()]
  }

  /** Nothing more is written. */
  stop(): void {
    this.#stopped = true
    this.#underWay = []
    this.#queue = []
    this.#prune = undefined
  }

  #done(writes: readonly SessionWrite[], result: WriteResult): void {
    this.#writing = false
    if (result === 'stale') {
      this.#owner.stale()
      this.stop()
    } else {
      this.#underWay = []
      for (const write of writes) if (write.kind === 'epoch') this.#held = write.epoch
      for (const write of writes) this.#owner.stored(write)
    }
    this.#next()
  }

  #failed(error: unknown): void {
    this.#writing = false
    this.#underWay = []
    this.#queue = []
    this.#owner.failed(error)
    this.#next()
  }

  #next(): void {
    if (this.#queue.length > 0) this.#owner.schedule(this, false)
    else {
      // It came due while another write was under way.
      if (this.#prune) this.#owner.schedule(this, true)
      this.#owner.rested()
    }
  }
}

/** `expiresAt` outlives the process on the wall clock only. */
function onWallClock(writes: readonly SessionWrite[], clock: Clock): readonly SessionWrite[] {
  const offset = clock.wallNow() - clock.now()
  return writes.map((write) =>
    'entry' in write && write.entry.expiresAt !== NEVER
      ? { ...write, entry: shifted(write.entry, offset) }
      : write,
  )
}

/** What a store gives back, with `expiresAt` on the scale of `clock.now()`. */
export function onOwnClock({ session, waiting }: StoredSession, clock: Clock): StoredSession {
  const offset = clock.now() - clock.wallNow()
  return { session, waiting: waiting.map((entry) => shifted(entry, offset)) }
}

function shifted(entry: Entry, offset: number): Entry {
  return entry.expiresAt === NEVER ? entry : { ...entry, expiresAt: Math.max(0, entry.expiresAt + offset) }
}
