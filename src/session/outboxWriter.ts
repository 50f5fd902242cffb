// Carries a machine's `store(write)` effects to its outbox: in order, those of one turn together, one call under way at a
// time. It decides nothing about a failure but that it is the last: what follows would be recorded without what failed.

import type { OutboxStore, Write } from './store.ts'

/** None of them may throw. */
export interface OutboxWriterEvents {
  /** A fact is recorded; told in the order they were pushed, never from within `push`. */
  onStored(write: Write): void
  /**
   * The outbox could not record: `unrecorded` are these and all writes pushed after them. Told at most once, after which
   * no write is recorded and `onStored` is silent. A listener that still pushes finds that ignored.
   */
  onFailed(error: unknown, unrecorded: readonly Write[]): void
}

export class OutboxWriter {
  readonly #store: OutboxStore
  readonly #events: OutboxWriterEvents
  #pending: Write[] = []
  #state: 'writing' | 'failed' | 'closed' = 'writing'
  /** Settles when all that has been pushed is told; `undefined` when there is nothing. Never rejects. */
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @param store one that has been loaded */
  constructor(store: OutboxStore, events: OutboxWriterEvents) {
    this.#store = store
    this.#events = events
  }

  /** Records a fact, at the end of this turn at the earliest. After a failure and after `close` it does nothing. */
  push(write: Write): void {
    if (this.#state !== 'writing') return
    this.#pending.push(write)
    // One microtask later: by then the step that emits writes has emitted all of them.
    this.#running ??= Promise.resolve().then(() => this.#run())
  }

  /** Resolves when every write pushed so far, or pushed meanwhile, is recorded and told, or has failed. Never rejects. */
  get idle(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  /**
   * Records what has been pushed, tells of it, and gives the outbox back. What is pushed from now on is ignored. A second
   * call returns the same promise; it never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { idle } = this
    if (this.#state === 'writing') this.#state = 'closed'
    await idle
    await this.#store.close()
  }

  async #run(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending
      this.#pending = []
      try {
        const written = this.#store.write(batch)
        // A store that has recorded at once is not made to wait: `await` would cost it a turn.
        if (written) await written
      } catch (error) {
        this.#state = 'failed'
        const unrecorded = batch.concat(this.#pending)
        this.#pending = []
        this.#running = undefined
        this.#events.onFailed(error, unrecorded)
        return
      }
      for (const write of batch) this.#events.onStored(write)
    }
    this.#running = undefined
  }
}
