// Records what one session has to remember, in order: the facts of a turn go to the store together, the next ones when
// these are recorded. It decides nothing about a failure.

import type { Entry } from './entry.ts'
import type { SessionWrite, WriteResult } from './store.ts'

/** What comes of a batch: a store that has recorded at once is not made to wait. */
export type Written = WriteResult | undefined | Promise<unknown>

/** Who has it write, and hears what became of it. None of them may throw, but for `write`. */
export interface WriterOwner {
  /** There is something to write: `flush` is to be called, at the end of the turn or, if `late`, at leisure. */
  schedule(writer: StoreWriter, late: boolean): void
  /**
   * Records all of them or none.
   * @param held the epoch under which the store knows us
   * @throws or rejects when it cannot
   */
  write(writes: readonly SessionWrite[], held: number): Written
  /** A fact is recorded. */
  onStored(write: SessionWrite): void
  /** Another process owns the session by now. */
  onStale(): void
  /** The store has failed; nothing of the batch is recorded, nor what was to follow it. */
  onFailed(error: unknown): void
  /** Nothing is being written any more. */
  onIdle(): void
}

/** Plain data, so that a state can be compared and copied. */
export interface WriterState {
  queue: SessionWrite[]
  /** Only the latest counts, and it may come late: without it more is remembered than is needed. */
  prune: SessionWrite | null
  /** What is being written; empty when nothing is. */
  underWay: readonly SessionWrite[]
  writing: boolean
  /** The epoch under which the store knows us: a newer one is ours only when it is recorded. */
  held: number
  /** Facts that were pushed, and recorded; prunes are not counted. */
  pushed: number
  recorded: number
  sealed: boolean
}

export function newWriter(held = 0): WriterState {
  return {
    queue: [],
    prune: null,
    underWay: [],
    writing: false,
    held,
    pushed: 0,
    recorded: 0,
    sealed: false,
  }
}

export class StoreWriter {
  readonly state: WriterState
  readonly #owner: WriterOwner
  #whenIdle: PromiseWithResolvers<void> | undefined

  constructor(state: WriterState, owner: WriterOwner) {
    this.state = state
    this.#owner = owner
  }

  /** Whether something is not recorded yet. */
  get busy(): boolean {
    const { writing, queue } = this.state
    return writing || queue.length > 0
  }

  push(write: SessionWrite): void {
    const { state } = this
    if (state.sealed) return
    if (write.kind === 'prune') {
      if (!state.prune) this.#owner.schedule(this, true)
      state.prune = write
      return
    }
    state.queue.push(write)
    state.pushed += 1
    if (!state.writing && state.queue.length === 1) this.#owner.schedule(this, false)
  }

  /** Writes what there is, unless a write is under way: what comes meanwhile follows it. */
  flush(): void {
    const { state } = this
    if (state.writing) return
    const writes = state.prune ? [state.prune, ...state.queue] : state.queue
    if (writes.length === 0) return
    state.queue = []
    state.prune = null
    state.underWay = writes
    state.writing = true
    let written: Written
    try {
      written = this.#owner.write(writes, state.held)
    } catch (error) {
      this.failed(error)
      return
    }
    if (!isPromise(written)) this.done(written ?? 'stored')
    else
      written.then(
        (result) => this.done(result === 'stale' ? 'stale' : 'stored'),
        (error) => this.failed(error),
      )
  }

  /** Messages that nobody knows to be recorded, the oldest first. */
  get unrecorded(): Entry[] {
    const entries = new Map<number, Entry>()
    for (const write of [...this.state.underWay, ...this.state.queue])
      if (write.kind === 'accept' || write.kind === 'number') entries.set(write.entry.seq, write.entry)
      else if (write.kind === 'drop') entries.delete(write.seq)
    return [...entries.values()]
  }

  /** Nothing more is taken, what there is is written. Resolves when that is done, or has failed. */
  async finish(): Promise<void> {
    this.state.sealed = true
    this.flush()
    await this.whenIdle()
  }

  /** Nothing more is taken, and what there is is nobody's business any more. */
  stop(): void {
    const { state } = this
    state.sealed = true
    state.underWay = []
    state.queue = []
    state.prune = null
  }

  /** Resolves when nothing is being written any more, and nothing waits to be. Never rejects. */
  whenIdle(): Promise<void> {
    if (!this.busy) return Promise.resolve()
    this.#whenIdle ??= Promise.withResolvers<void>()
    return this.#whenIdle.promise
  }

  /** The batch that is under way has been taken, or refused. */
  done(result: WriteResult): void {
    const { state } = this
    if (result === 'stale') {
      this.#owner.onStale()
      this.stop()
    } else {
      const writes = state.underWay
      state.underWay = []
      for (const write of writes) if (write.kind === 'epoch') state.held = write.epoch
      for (const write of writes) {
        if (write.kind !== 'prune') state.recorded += 1
        this.#owner.onStored(write)
      }
    }
    this.#next()
  }

  /** The batch that is under way could not be written. */
  failed(error: unknown): void {
    const { state } = this
    state.underWay = []
    state.queue = []
    state.prune = null
    this.#owner.onFailed(error)
    this.#next()
  }

  #next(): void {
    const { state } = this
    const { queue, prune } = state
    state.writing = false
    if (queue.length > 0) {
      this.#owner.schedule(this, false)
      return
    }
    // It came due while another write was under way.
    if (prune) this.#owner.schedule(this, true)
    this.#whenIdle?.resolve()
    this.#whenIdle = undefined
    this.#owner.onIdle()
  }
}

function isPromise(written: Written): written is Promise<unknown> {
  return typeof (written as { then?: unknown } | undefined)?.then === 'function'
}
