// The leader's outbox: beside each message it records whose it is, and of each tab how far its messages have been taken,
// in the same transaction. So the next leader knows what it must not take again, and whom to tell.

import type { Entry } from '../session/entry.ts'
import type { OutboxRecord, OutboxStore, Write } from '../session/store.ts'
import type { IndexedDbOutbox } from '../storage/indexeddb/IndexedDbOutbox.ts'
import type { Mark, Origin } from './protocol.ts'

/** An outbox that records something beside its messages, all or none. */
export interface MarkedOutbox {
  load(): Promise<{ readonly record: OutboxRecord; readonly marks: readonly (readonly [string, Mark])[] }>
  /** An `undefined` mark is forgotten. */
  write(writes: readonly Write[], marks: readonly (readonly [string, Mark | undefined])[]): Promise<void>
  transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T>
  destroy(): Promise<void>
  close(): Promise<void>
}

/** The object store of the marks. */
export const MARKS = 'guru-tabs'

/** @param outbox one that was made with the object store `MARKS` */
export function markedOutbox(outbox: IndexedDbOutbox): MarkedOutbox {
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
  }
}

/** An entry with the tab it comes from. */
type OwnedEntry = Entry & { readonly origin?: Origin }

export class OriginOutbox implements OutboxStore {
  readonly #outbox: MarkedOutbox
  readonly #markOf: (tab: string) => Mark | undefined
  /** By number of the connection's own count: 1 and up in this page, 0 and down what older leaders left. */
  readonly #origins = new Map<number, Origin>()
  readonly #recorded = new Set<number>()
  #offset = 0
  #loading: Promise<OutboxRecord> | undefined
  #loaded = false
  /** The connection has given it back. */
  readonly #returned = Promise.withResolvers<void>()
  /** Told what was found, before the connection goes on; nothing, when the outbox cannot be read. */
  readonly #onLoaded: (marks: readonly (readonly [string, Mark])[]) => void

  constructor(
    outbox: MarkedOutbox,
    markOf: (tab: string) => Mark | undefined,
    onLoaded: (marks: readonly (readonly [string, Mark])[]) => void,
  ) {
    this.#outbox = outbox
    this.#markOf = markOf
    this.#onLoaded = onLoaded
  }

  /** Message `own` of the connection is that of a tab. */
  assign(own: number, origin: Origin): void {
    this.#origins.set(own, origin)
  }

  /** The fate of a message is known. Returns whose it was. */
  settle(own: number): Origin | undefined {
    const origin = this.#origins.get(own)
    this.#origins.delete(own)
    this.#recorded.delete(own)
    return origin
  }

  /** Whether the fate of a tab's message is still to come. */
  has({ tab, n }: Origin): boolean {
    for (const origin of this.#origins.values()) if (origin.tab === tab && origin.n === n) return true
    return false
  }

  load(): Promise<OutboxRecord> {
    this.#loading = this.#load()
    return this.#loading
  }

  async #load(): Promise<OutboxRecord> {
    try {
      return await this.#read()
    } catch (error) {
      this.#onLoaded([])
      throw error
    }
  }

  async #read(): Promise<OutboxRecord> {
    const { record, marks } = await this.#outbox.load()
    const entries = [...(record.session?.messages ?? []), ...record.waiting] as OwnedEntry[]
    this.#offset = entries.reduce((highest, { seq }) => Math.max(highest, seq), 0)
    for (const { seq, origin } of entries) {
      if (!origin || seq === 0) continue
      this.#origins.set(seq - this.#offset, origin)
      this.#recorded.add(seq - this.#offset)
    }
    this.#loaded = true
    this.#onLoaded(marks)
    return record
  }

  write(writes: readonly Write[]): Promise<void> {
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
    const marks = Array.from(reached, ([tab, n]): [string, Mark] => {
      const refused = this.#markOf(tab)?.refused ?? []
      return [tab, { n, refused: refused.filter((one) => one.n < n) }]
    })
    return this.#outbox.write(owned, marks)
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
    await this.#outbox.destroy()
    this.#returned.resolve()
  }

  async close(): Promise<void> {
    await this.#outbox.close()
    this.#returned.resolve()
  }

  /** The connection has been disposed of: resolves when it has recorded the last of it and the next may have the outbox. */
  async left(): Promise<void> {
    if (this.#loaded) return this.#returned.promise
    // A connection that ends while it is being loaded never gives it back.
    await this.#loading?.catch(() => {})
    await this.#outbox.close()
  }
}
