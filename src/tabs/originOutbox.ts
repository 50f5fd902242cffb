// The leader's outbox: beside each message it records whose it is, and of each tab how far its messages have been taken,
// in the same transaction. So the next leader knows what it must not take again, and whom to tell.

import type { Entry } from '../session/entry.ts'
import type { OutboxRecord, OutboxStore, Write } from '../session/store.ts'
import type { SharedOutbox } from '../storage/indexeddb/IndexedDbOutbox.ts'
import { isStorageError } from '../storage/StorageError.ts'
import type { Mark, Origin } from './protocol.ts'

/** An outbox that records something beside its messages, all or none. */
export interface MarkedOutbox {
  load(): Promise<{ readonly record: OutboxRecord; readonly marks: readonly (readonly [string, Mark])[] }>
  /** An `undefined` mark is forgotten. */
  write(writes: readonly Write[], marks: readonly (readonly [string, Mark | undefined])[]): Promise<void>
  transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T>
  destroy(): Promise<void>
  close(): Promise<void>
  /** Gives it up at once, whatever is under way. */
  abandon(): void
  /** Deletes it, whoever uses it. */
  wipe(): Promise<void>
}

/** The object store of the marks. */
export const MARKS = 'guru-tabs'

/** @param outbox one that was made with the object store `MARKS` */
export function markedOutbox(outbox: SharedOutbox): MarkedOutbox {
  return {
    async load() {
      const record = await outbox.load()
      const marks = await outbox.entries(MARKS)
      return { record, marks: marks as [string, Mark][] }
    },
    write: (writes, marks) =>
      outbox.write(writes, (transaction) => {
        const store = transaction.objectStore(MARKS)
        for (const [tab, mark] of marks) {
          if (mark) store.put(mark, tab)
          else store.delete(tab)
        }
      }),
    transact: (sid, number, run) => outbox.transact(sid, number, run),
    destroy: () => outbox.destroy(),
    close: () => outbox.close(),
    abandon: () => outbox.abandon(),
    wipe: () => outbox.wipe(),
  }
}

/** An entry with the tab it comes from. */
type OwnedEntry = Entry & { readonly origin?: Origin }

export interface OriginListener {
  /** What to record for a tab whose messages up to `last` are recorded. */
  mark(tab: string, last: number): Mark
  /** What was found, before the connection goes on; nothing, when the outbox cannot be read. */
  loaded(marks: readonly (readonly [string, Mark])[]): void
  /** Another leader has the outbox: nothing more is recorded, and the connection is told nothing of it. */
  lost(): void
}

export class OriginOutbox implements OutboxStore {
  readonly #outbox: MarkedOutbox
  readonly #listener: OriginListener
  /** By number of the connection's own count: 1 and up in this page, 0 and down what older leaders left. */
  readonly #origins = new Map<number, Origin>()
  /** The same by name, to be found at once. */
  readonly #undecided = new Set<string>()
  readonly #recorded = new Set<number>()
  #offset = 0
  #loading: Promise<OutboxRecord> | undefined
  #loaded = false
  #abandoned = false
  /** The connection has given it back. */
  readonly #returned = Promise.withResolvers<void>()

  constructor(outbox: MarkedOutbox, listener: OriginListener) {
    this.#outbox = outbox
    this.#listener = listener
  }

  /** Message `own` of the connection is that of a tab. */
  assign(own: number, origin: Origin): void {
    this.#origins.set(own, origin)
    this.#undecided.add(nameOf(origin))
  }

  /** What becomes of a message is known. Returns whose it was. */
  settle(own: number): Origin | undefined {
    const origin = this.#origins.get(own)
    this.#origins.delete(own)
    this.#recorded.delete(own)
    if (origin) this.#undecided.delete(nameOf(origin))
    return origin
  }

  /** Whether it is still to be seen what becomes of a tab's message. */
  has(origin: Origin): boolean {
    return this.#undecided.has(nameOf(origin))
  }

  load(): Promise<OutboxRecord> {
    this.#loading = this.#load()
    return this.#loading
  }

  async #load(): Promise<OutboxRecord> {
    try {
      return await this.#read()
    } catch (error) {
      this.#listener.loaded([])
      throw error
    }
  }

  async #read(): Promise<OutboxRecord> {
    const { record, marks } = await this.#outbox.load()
    const entries = [...(record.session?.messages ?? []), ...record.waiting] as OwnedEntry[]
    this.#offset = entries.reduce((highest, { seq }) => Math.max(highest, seq), 0)
    for (const { seq, origin } of entries) {
      if (!origin || seq === 0) continue
      this.assign(seq - this.#offset, origin)
      this.#recorded.add(seq - this.#offset)
    }
    this.#loaded = true
    this.#listener.loaded(marks)
    return record
  }

  async write(writes: readonly Write[]): Promise<void> {
    // How far each tab's messages go in this write: those taken meanwhile are not recorded yet.
    const reached = new Map<string, number>()
    const owned = writes.map((write) => {
      if (write.kind !== 'accept' && write.kind !== 'number') return write
      const own = write.entry.seq - this.#offset
      const origin = this.#origins.get(own)
      if (!origin) return write
      if (!this.#recorded.has(own)) reached.set(origin.tab, origin.n)
      this.#recorded.add(own)
      return { ...write, entry: { ...write.entry, origin } }
    })
    const marks = Array.from(reached, ([tab, n]) => [tab, this.#listener.mark(tab, n)] as const)
    if (this.#abandoned) return never()
    try {
      await this.#outbox.write(owned, marks)
    } catch (error) {
      if (!this.#abandoned && !(isStorageError(error) && error.reason === 'lost')) throw error
      // The connection would go on in memory, and send again what the next leader sends.
      if (!this.#abandoned) this.#listener.lost()
      this.#returned.resolve()
      return never()
    }
  }

  /** Tabs that are gone for good. */
  forget(tabs: readonly string[]): Promise<void> {
    return this.#outbox.write(
      [],
      tabs.map((tab) => [tab, undefined] as const),
    )
  }

  transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T> {
    return this.#outbox.transact(sid, number, run)
  }

  async destroy(): Promise<void> {
    if (!this.#abandoned) await this.#outbox.destroy()
    this.#returned.resolve()
  }

  async close(): Promise<void> {
    await this.#outbox.close()
    this.#returned.resolve()
  }

  /** Another leader has it, or is to have it at once: nothing more is recorded, and nobody told. */
  abandon(): void {
    this.#abandoned = true
    this.#returned.resolve()
    this.#outbox.abandon()
  }

  /** The connection has been disposed of: resolves when it has recorded the last of it and the next may have the outbox. */
  async left(): Promise<void> {
    if (this.#loaded) return this.#returned.promise
    // A connection that ends while it is being loaded never gives it back.
    await this.#loading?.catch(() => {})
    await this.#outbox.close()
  }
}

/** Names a message of a tab among those of all. */
export function nameOf({ tab, n }: Origin): string {
  return `${tab}/${n}`
}

function never(): Promise<never> {
  return new Promise(() => {})
}
