// A client's durable outbox in the browser's IndexedDB. Its owner is who holds a Web Lock of its name: the browser takes
// that back when the page goes, however it goes. All writes of a call are one transaction.

import { type IDBPDatabase, type IDBPTransaction, openDB, unwrap } from 'idb'
import {
  checkOptions,
  delay,
  oneOf,
  plainObject,
  type Rule,
  type Rules,
  withDefaults,
} from '../../core/options.ts'
import { type Entry, NEVER } from '../../session/entry.ts'
import { TEXT } from '../../session/frames.ts'
import type { OutboxRecord, OutboxStore, SessionHead, SessionRecord, Write } from '../../session/store.ts'
import { alreadyOwned, notLoaded, OutboxHead, recordedTwice, refusePromise } from '../outboxHead.ts'
import { StorageError } from '../StorageError.ts'
import { toStorageError } from './errors.ts'
import { takeWebLock, type WebLock } from './webLock.ts'

export interface IndexedDbOutboxOptions {
  /** Each connection needs an outbox of its own; its database is called `guru-outbox-` and this. @default 'default' */
  name?: string | undefined
  /**
   * Object stores for the app in the same database: what handlers write there within `transact` is recorded together with
   * the fact that the message was handled. Those that are not there are made.
   */
  stores?: Readonly<Record<string, IDBObjectStoreParameters>> | undefined
  /**
   * `strict`: what was recorded is on the disk. `relaxed`: with the operating system; several times faster, and a loss of
   * power may take the last writes.
   * @default 'strict'
   */
  durability?: 'strict' | 'relaxed' | undefined
  /** Milliseconds to wait for the lock: a page that is being left may still hold it for a moment. @default 1000 */
  lockTimeout?: number | undefined
}

interface Settings {
  readonly name: string
  readonly stores: Readonly<Record<string, IDBObjectStoreParameters>>
  readonly durability: 'strict' | 'relaxed'
  readonly lockTimeout: number
}

const filled: Rule = {
  expected: 'a string that is not empty',
  accepts: (value) => typeof value === 'string' && value !== '',
}
const rules: Rules<IndexedDbOutboxOptions> = {
  name: filled,
  stores: plainObject,
  durability: oneOf('strict', 'relaxed'),
  lockTimeout: delay,
}
const defaults: Settings = { name: 'default', stores: {}, durability: 'strict', lockTimeout: 1000 }

/** Its transactions work on an `IDBTransaction` over the object stores given as `stores`. */
export interface IndexedDbOutbox extends OutboxStore {
  load(): Promise<OutboxRecord>
  write(writes: readonly Write[]): Promise<void>
  transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T>
  destroy(): Promise<void>
  close(): Promise<void>
}

/**
 * A durable outbox for `GuruConnection`'s `storage` in pages and workers. It needs a secure context (`https:` or
 * `localhost`). Nothing is opened before the connection starts.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option
 */
export function indexedDbOutbox(options: IndexedDbOutboxOptions = {}): IndexedDbOutbox {
  checkOptions('indexedDbOutbox', options, rules)
  return new Outbox(withDefaults(defaults, options))
}

/** A message as it is kept; those that wait follow each other by `place`. */
interface Kept extends Entry {
  readonly place: number
}

type Head = Omit<SessionRecord, 'done' | 'messages'>
type Transaction = IDBPTransaction<unknown, string[], 'readwrite'>

/** Object stores: the session under the key 0; messages by number; messages by seq; [sid, number] of what was handled. */
const OWN = ['guru-session', 'guru-numbered', 'guru-waiting', 'guru-done'] as const
const [SESSION, NUMBERED, WAITING, DONE] = OWN

/** What there is while the outbox is loaded. */
interface Loaded {
  readonly database: IDBPDatabase
  readonly lock: WebLock
  check: OutboxHead
  session: Head | undefined
  /** Places before and behind all that were ever given. */
  before: number
  behind: number
}

class Outbox implements IndexedDbOutbox {
  readonly #settings: Settings
  #loaded: Loaded | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  async load(): Promise<OutboxRecord> {
    const lock = await this.#lock(this.#settings.lockTimeout)
    if (!lock) throw alreadyOwned(this.#what, 'Close that one, or give this one another "name"')
    let database: IDBPDatabase | undefined
    try {
      database = await this.#open()
      const { record, places } = await read(database)
      const check = OutboxHead.of(record)
      const { session: { done: _, messages: __, ...session } = {} } = record as { session?: SessionRecord }
      const [first = 0, last = 0] = [places[0], places.at(-1)]
      this.#loaded = {
        database,
        lock,
        check,
        session: record.session && (session as Head),
        before: Math.min(0, first) - 1,
        behind: Math.max(0, last) + 1,
      }
      return record
    } catch (error) {
      database?.close()
      await lock.release()
      throw toStorageError(error, `read ${this.#what}`)
    }
  }

  async write(writes: readonly Write[]): Promise<void> {
    const loaded = this.#need()
    const check = loaded.check.copy()
    const batch = writes.filter((write) => check.step(write))
    try {
      const session = await this.#record(loaded, batch)
      loaded.check = check
      loaded.session = session
    } catch (error) {
      throw toStorageError(error, `write ${this.#what}`)
    }
  }

  async transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T> {
    const { database } = this.#need()
    const { stores, durability } = this.#settings
    try {
      const transaction = database.transaction([DONE, ...Object.keys(stores)], 'readwrite', { durability })
      const done = ended(transaction)
      try {
        const handled = transaction.objectStore(DONE)
        // Not asked for: the session, which may come to be recorded after its first messages are handled.
        if ((await handled.getKey([sid, number])) !== undefined) throw recordedTwice(number)
        forget(handled.put(true, [sid, number]))
        const result = refusePromise(run(unwrap(transaction) as IDBTransaction))
        await done
        return result
      } catch (error) {
        abort(transaction)
        throw error
      }
    } catch (error) {
      throw toStorageError(error, `write ${this.#what}`)
    }
  }

  async destroy(): Promise<void> {
    let lock: WebLock | undefined
    let database = this.#loaded?.database
    try {
      if (!database) {
        lock = await this.#lock(0)
        // Somebody else's: it is not ours to throw away.
        if (!lock) return
        database = await this.#open()
      }
      const transaction = database.transaction([...OWN], 'readwrite', {
        durability: this.#settings.durability,
      })
      for (const name of OWN) forget(transaction.objectStore(name).clear())
      await ended(transaction)
    } catch {
      // A best effort. Without stores of the app, the whole database may go.
      if (Object.keys(this.#settings.stores).length === 0) remove(this.#database)
    } finally {
      if (!this.#loaded) database?.close()
      await this.close()
      await lock?.release()
    }
  }

  async close(): Promise<void> {
    const loaded = this.#loaded
    if (!loaded) return
    this.#loaded = undefined
    // Transactions that are under way are finished first (IndexedDB, "close a database connection").
    loaded.database.close()
    await loaded.lock.release()
  }

  get #database(): string {
    return `guru-outbox-${this.#settings.name}`
  }

  get #what(): string {
    return `the outbox "${this.#settings.name}" of this browser`
  }

  #need(): Loaded {
    if (!this.#loaded) throw notLoaded()
    return this.#loaded
  }

  async #lock(timeout: number): Promise<WebLock | undefined> {
    try {
      return await takeWebLock(this.#database, timeout)
    } catch (error) {
      throw toStorageError(error, `lock ${this.#what}`)
    }
  }

  async #open(): Promise<IDBPDatabase> {
    const { stores } = this.#settings
    const wanted: Record<string, IDBObjectStoreParameters> = { ...stores }
    for (const name of OWN) wanted[name] = {}
    let database = await openAt(this.#database, undefined, wanted)
    // Stores that the app wishes for since it was made: only a new version can have them.
    if (Object.keys(wanted).some((name) => !database.objectStoreNames.contains(name))) {
      const { version } = database
      database.close()
      database = await openAt(this.#database, version + 1, wanted)
    }
    return database
  }

  /** Records a batch in one transaction. Returns the session as it is then. */
  async #record(loaded: Loaded, batch: readonly Write[]): Promise<Head | undefined> {
    const { durability } = this.#settings
    const transaction = loaded.database.transaction([...OWN], 'readwrite', { durability })
    const done = ended(transaction)
    let { session } = loaded
    try {
      for (const write of batch) session = await record(transaction, loaded, session, write)
      const kept = transaction.objectStore(SESSION)
      if (session && session !== loaded.session) forget(kept.put(session, 0))
      if (!session && loaded.session) forget(kept.delete(0))
    } catch (error) {
      abort(transaction)
      // The transaction knows why (no room), the request only that it was given up.
      await done
      throw error
    }
    await done
    return session
  }
}

/** Records one write; awaits nothing but requests of the transaction, which would end otherwise. */
function record(
  transaction: Transaction,
  loaded: Loaded,
  session: Head | undefined,
  write: Write,
): Head | undefined | Promise<Head | undefined> {
  const numbered = transaction.objectStore(NUMBERED)
  const waiting = transaction.objectStore(WAITING)
  switch (write.kind) {
    case 'accept':
      forget(waiting.put(keep(write.entry, loaded.behind), write.entry.seq))
      loaded.behind += 1
      return session
    case 'drop':
      forget(waiting.delete(write.seq))
      return session
    case 'number':
      forget(waiting.delete(write.entry.seq))
      forget(numbered.put(keep(write.entry, 0), write.number))
      return session
    case 'void':
      return empty(transaction, write.number).then(() => session)
    case 'prune':
      forget(numbered.delete(IDBKeyRange.upperBound(write.acked)))
      return session && { ...session, acked: write.acked }
    case 'rx':
      forget(transaction.objectStore(DONE).delete(IDBKeyRange.bound([write.sid, 0], [write.sid, write.rx])))
      return session && { ...session, rx: Math.max(session.rx, write.rx) }
    case 'epoch':
      return session && { ...session, epoch: write.epoch }
    case 'begin':
      forget(numbered.clear())
      // Not those of the new session: its first handlers may have been quicker than this write.
      forgetOthers(transaction, write.session.sid)
      return begun(write.session)
    case 'end':
      forgetOthers(transaction, undefined)
      if (!write.requeue) {
        forget(numbered.clear())
        return undefined
      }
      return requeue(transaction, loaded)
  }
}

function begun({ sid, key, principal, ttl, limits }: SessionHead): Head {
  return { sid, key, principal, ttl, limits: { ...limits }, epoch: 0, rx: 0, acked: 0 }
}

async function empty(transaction: Transaction, number: number): Promise<void> {
  const numbered = transaction.objectStore(NUMBERED)
  const entry: Kept = await numbered.get(number)
  forget(numbered.put({ ...entry, seq: 0, stream: TEXT, payload: '', bytes: 0 }, number))
}

/** Messages that had a number wait again: before all others, in their order. */
async function requeue(transaction: Transaction, loaded: Loaded): Promise<undefined> {
  const numbered = transaction.objectStore(NUMBERED)
  const entries: Kept[] = await numbered.getAll()
  forget(numbered.clear())
  loaded.before -= entries.length
  const waiting = transaction.objectStore(WAITING)
  entries.forEach((entry, index) => {
    // Emptied: its fate has been told.
    if (entry.seq === 0) return
    const place = loaded.before + 1 + index
    const first = { ...entry, place, priority: Number.MAX_SAFE_INTEGER, expiresAt: NEVER }
    forget(waiting.put(first, entry.seq))
  })
  return undefined
}

function forgetOthers(transaction: Transaction, sid: string | undefined): void {
  const done = transaction.objectStore(DONE)
  if (sid === undefined) {
    forget(done.clear())
    return
  }
  forget(done.delete(IDBKeyRange.upperBound([sid], true)))
  forget(done.delete(IDBKeyRange.lowerBound([sid, Infinity], true)))
}

/** A copy for the store. A view would take the whole of its buffer along. */
function keep(entry: Entry, place: number): Kept {
  const { payload } = entry
  return { ...entry, payload: typeof payload === 'string' ? payload : payload.slice(), place }
}

function toEntry({ place: _, ...entry }: Kept): Entry {
  return entry
}

async function read(database: IDBPDatabase): Promise<{ record: OutboxRecord; places: number[] }> {
  const transaction = database.transaction([...OWN], 'readonly')
  const store = (name: (typeof OWN)[number]) => transaction.objectStore(name)
  const [head, numbered, numbers, waiting, done] = (await Promise.all([
    store(SESSION).get(0),
    store(NUMBERED).getAll(),
    store(NUMBERED).getAllKeys(),
    store(WAITING).getAll(),
    store(DONE).getAllKeys(),
    transaction.done,
  ])) as [Head | undefined, Kept[], number[], Kept[], [string, number][], unknown]
  waiting.sort((one, other) => one.place - other.place)
  if (head && numbers.some((number, index) => number !== head.acked + 1 + index))
    throw new StorageError('the outbox has lost messages: clear the data of this site', { reason: 'corrupt' })
  const handled = done.filter(([sid, number]) => sid === head?.sid && number > head.rx)
  const record: OutboxRecord = {
    session: head && { ...head, done: handled.map(([, number]) => number), messages: numbered.map(toEntry) },
    waiting: waiting.map(toEntry),
  }
  return { record, places: waiting.map(({ place }) => place) }
}

function openAt(
  name: string,
  version: number | undefined,
  wanted: Readonly<Record<string, IDBObjectStoreParameters>>,
): Promise<IDBPDatabase> {
  const { promise, resolve, reject } = Promise.withResolvers<IDBPDatabase>()
  openDB(name, version, {
    upgrade(database) {
      for (const [store, parameters] of Object.entries(wanted)) {
        if (!database.objectStoreNames.contains(store)) database.createObjectStore(store, parameters)
      }
    },
    blocked() {
      reject(
        new StorageError(`another tab holds an older version of "${name}" open: close it`, {
          reason: 'locked',
        }),
      )
    },
  }).then(resolve, reject)
  // One that comes after all, too late, must not stand in the way of the next.
  promise.catch(() => {})
  return promise
}

function remove(name: string): void {
  try {
    indexedDB.deleteDatabase(name)
  } catch {
    // Where there is no IndexedDB there is nothing to remove.
  }
}

/**
 * Settles when a transaction is over, with its own error: the `done` of idb rejects as soon as a request fails, when the
 * reason is not known yet. A rejection that nobody awaits is no fault.
 */
function ended(transaction: Transaction): Promise<void> {
  transaction.done.catch(() => {})
  const raw = unwrap(transaction) as IDBTransaction
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  raw.addEventListener('complete', () => resolve())
  raw.addEventListener('abort', () =>
    reject(raw.error ?? new DOMException('the transaction was given up', 'AbortError')),
  )
  promise.catch(() => {})
  return promise
}

/** The outcome of a request is that of its transaction, which is awaited. */
function forget(request: Promise<unknown>): void {
  request.catch(() => {})
}

function abort(transaction: Transaction): void {
  try {
    transaction.abort()
  } catch {
    // It had ended by itself.
  }
}
