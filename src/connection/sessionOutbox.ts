// The storage of a connection's session: read once, written in order, given up when it fails. What lies there outlives the
// process, so that its times are those of the wall clock; here they are those of the connection's.

import type { Clock } from '../core/clock.ts'
import { CommsError } from '../core/errors.ts'
import { NEVER } from '../session/entry.ts'
import { OutboxWriter } from '../session/outboxWriter.ts'
import type { OutboxRecord, OutboxStore, Write } from '../session/store.ts'

export interface OutboxListener {
  /** A fact is recorded. */
  onStored(write: Write): void
  /** The storage has failed: nothing is written there any more, and what it holds goes once this has been told. */
  onFailed(error: CommsError): void
}

export class SessionOutbox {
  readonly #storage: OutboxStore
  readonly #clock: Clock
  readonly #listener: OutboxListener
  #writer: OutboxWriter | undefined

  constructor(storage: OutboxStore, clock: Clock, listener: OutboxListener) {
    this.#storage = storage
    this.#clock = clock
    this.#listener = listener
  }

  /**
   * Reads what an earlier process has left.
   * @throws rejects with CommsError `STORAGE` when it cannot be used
   */
  async load(): Promise<OutboxRecord> {
    let record: OutboxRecord
    try {
      record = await this.#storage.load()
    } catch (error) {
      throw storageError('cannot be used: this session lives in memory', error)
    }
    this.#writer = new OutboxWriter(this.#storage, {
      onStored: (write) => this.#listener.onStored(write),
      onFailed: (error) => void this.#failed(error),
    })
    const sinceWall = this.#clock.now() - this.#clock.wallNow()
    return { session: record.session, waiting: record.waiting.map((entry) => shifted(entry, sinceWall)) }
  }

  push(write: Write): void {
    this.#writer?.push(this.#onTheWall(write))
  }

  /** Gives the storage back: what is recorded is taken up again by the next process. */
  close(): void {
    void this.#writer?.close()
  }

  #onTheWall(write: Write): Write {
    if (write.kind !== 'accept' && write.kind !== 'number') return write
    if (write.entry.expiresAt === NEVER) return write
    return { ...write, entry: shifted(write.entry, this.#clock.wallNow() - this.#clock.now()) }
  }

  async #failed(error: unknown): Promise<void> {
    this.#writer = undefined
    this.#listener.onFailed(storageError('cannot be written: a new session, in memory, takes over', error))
    // What it holds has become wrong: another process must not take it up.
    await this.#storage.destroy()
  }
}

function shifted<T extends { readonly expiresAt: number }>(entry: T, byMs: number): T {
  return entry.expiresAt === NEVER ? entry : { ...entry, expiresAt: entry.expiresAt + byMs }
}

function storageError(what: string, cause: unknown): CommsError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CommsError(`the storage ${what} (${why})`, { code: 'STORAGE', cause })
}
