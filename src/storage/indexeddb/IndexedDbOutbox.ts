// A client's durable outbox in the browser's IndexedDB. Its owner is who holds a Web Lock of its name: the browser takes
// that back when the page goes, however it goes. Beside the data stands a token of the owner that every transaction
// checks first: a page that hung while another took the outbox over records nothing more. All writes of a call are one
// transaction.

import { type IDBPDatabase, unwrap } from 'idb'
import {
  checkOptions,
  delay,
  oneOf,
  plainObject,
  type Rule,
  type Rules,
  withDefaults,
} from '../../core/options.ts'
import { randomId } from '../../core/randomId.ts'
import type { OutboxRecord, OutboxStore, Write } from '../../session/store.ts'
import {
  alreadyOwned,
  notLoaded,
  OutboxHead,
  ownerLost,
  recordedTwice,
  refusePromise,
} from '../outboxHead.ts'
import { toStorageError } from './errors.ts'
import {
  abort,
  breathe,
  claim,
  DONE,
  ended,
  fence,
  finish,
  GIVEN_UP,
  type Head,
  OWN,
  openAt,
  type Places,
  plain,
  record,
  remove,
  SESSION,
  type Transaction,
  withoutPassing,
} from './outboxStores.ts'
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
  /** @param also records more in the same transaction, in object stores of the app; it has to do so before it returns */
  write(writes: readonly Write[], also?: (transaction: IDBTransaction) => void): Promise<void>
  /** Keys and values of an object store of the app. */
  entries(store: string): Promise<[IDBValidKey, unknown][]>
  transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T>
  destroy(): Promise<void>
  close(): Promise<void>
  /**
   * Deletes the whole database, object stores of the app included, whoever uses it: for a logout. A connection that had it
   * stops recording (`reason: 'lost'`), so close that first where it is your own.
   * @throws rejects with StorageError `locked` when a page of another version holds it open; it is deleted once that goes
   */
  wipe(): Promise<void>
}

/** What tabs that share an outbox need besides. */
export interface SharedOutbox extends IndexedDbOutbox {
  /** Gives it up at once, whatever is under way: this page is about to be frozen, or has been replaced. */
  abandon(): void
}

/**
 * A durable outbox for `GuruConnection`'s `storage` in pages and workers. It needs a secure context (`https:` or
 * `localhost`). Nothing is opened before the connection starts.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option
 */
export function indexedDbOutbox(options: IndexedDbOutboxOptions = {}): IndexedDbOutbox {
  return sharedOutbox(options, false)
}

/** @param takeOver takes the outbox from an owner that hangs */
export function sharedOutbox(options: IndexedDbOutboxOptions, takeOver: boolean): SharedOutbox {
  checkOptions('indexedDbOutbox', options, rules)
  return new Outbox(withDefaults(defaults, options), takeOver)
}

/** So many writes are asked for in one go: a page has to stay responsive while it records thousands. */
const AT_ONCE = 200

/** What there is while the outbox is loaded. */
interface Loaded extends Places {
  readonly database: IDBPDatabase
  readonly lock: WebLock
  /** Another owner has it, or it was wiped. */
  lost: boolean
  /** The write under way, and whether its transaction has seen that the outbox is still this owner's. */
  writing: { readonly transaction: Transaction; fenced: boolean } | undefined
  check: OutboxHead
  session: Head | undefined
}

class Outbox implements SharedOutbox {
  readonly #settings: Settings
  readonly #takeOver: boolean
  /** Names this owner among all that the outbox has had. */
  readonly #owner = randomId()
  #loaded: Loaded | undefined
  #abandoned = false
  /** Settles when the latest write has. */
  #written: Promise<void> = Promise.resolve()

  constructor(settings: Settings, takeOver: boolean) {
    this.#settings = settings
    this.#takeOver = takeOver
  }

  async load(): Promise<OutboxRecord> {
    const lock = await this.#lock(this.#settings.lockTimeout, this.#takeOver)
    if (!lock) throw alreadyOwned(this.#what, 'Close that one, or give this one another "name"')
    let database: IDBPDatabase | undefined
    try {
      database = await this.#open()
      const { record, session, places } = await claim(database, this.#owner)
      if (this.#abandoned) throw notLoaded()
      const loaded: Loaded = {
        database,
        lock,
        lost: false,
        writing: undefined,
        check: OutboxHead.of(record),
        session,
        ...places,
      }
      this.#loaded = loaded
      // Another page wishes to upgrade or delete it.
      database.addEventListener('versionchange', () => {
        loaded.lost = true
        database?.close()
        void lock.release()
      })
      return record
    } catch (error) {
      database?.close()
      await lock.release()
      throw toStorageError(error, `read ${this.#what}`)
    }
  }

  write(writes: readonly Write[], also?: (transaction: IDBTransaction) => void): Promise<void> {
    // One after the other: each begins with what the one before it has recorded.
    const written = this.#written.then(() => this.#write(writes, also))
    this.#written = written.catch(() => {})
    return written
  }

  async #write(
    writes: readonly Write[],
    also: ((transaction: IDBTransaction) => void) | undefined,
  ): Promise<void> {
    const loaded = this.#need()
    const check = loaded.check.copy()
    const batch = writes.filter((write) => check.step(write))
    try {
      const session = await this.#record(loaded, batch, also)
      loaded.check = check
      loaded.session = session
      // What was requeued waits again; that others are kept does no harm.
      const requeued = batch.some((write) => write.kind === 'end' && write.requeue)
      for (const write of requeued ? [] : batch) {
        if (write.kind === 'drop') loaded.waiting.delete(write.seq)
        else if (write.kind === 'number') loaded.waiting.delete(write.entry.seq)
      }
    } catch (error) {
      throw this.#explain(error, loaded)
    }
  }

  async entries(name: string): Promise<[IDBValidKey, unknown][]> {
    const { database } = this.#need()
    try {
      const store = database.transaction(name).store
      const [keys, values] = await Promise.all([store.getAllKeys(), store.getAll()])
      return keys.map((key, index) => [key, values[index]])
    } catch (error) {
      throw toStorageError(error, `read ${this.#what}`)
    }
  }

  async transact<T>(sid: string, number: number, run: (transaction: IDBTransaction) => T): Promise<T> {
    const loaded = this.#need()
    const { stores, durability } = this.#settings
    try {
      const names = [SESSION, DONE, ...Object.keys(stores)]
      const transaction = loaded.database.transaction(names, 'readwrite', { durability })
      const done = ended(transaction)
      this.#fence(transaction, loaded)
      try {
        const handled = transaction.objectStore(DONE)
        // Not asked for: the session, which may come to be recorded after its first messages are handled.
        if ((await handled.getKey([sid, number])) !== undefined) throw recordedTwice(number)
        plain(transaction, DONE).put(true, [sid, number])
        const result = refusePromise(run(unwrap(transaction) as IDBTransaction))
        const failed = await done
        if (failed) throw failed
        return result
      } catch (error) {
        abort(transaction)
        throw error
      }
    } catch (error) {
      throw this.#explain(error, loaded)
    }
  }

  async destroy(): Promise<void> {
    const loaded = this.#loaded
    let lock: WebLock | undefined
    let database = loaded?.database
    try {
      if (loaded?.lost) return
      if (!database) {
        lock = await this.#lock(0, false)
        // Somebody else's: it is not ours to throw away.
        if (!lock) return
        database = await this.#open()
      }
      const transaction = database.transaction([...OWN], 'readwrite', {
        durability: this.#settings.durability,
      })
      if (loaded) this.#fence(transaction, loaded)
      for (const name of OWN) plain(transaction, name).clear()
      const failed = await ended(transaction)
      if (failed) throw failed
    } catch {
      // A best effort. Without stores of the app, the whole database may go.
      if (!loaded?.lost && Object.keys(this.#settings.stores).length === 0) {
        database?.close()
        await remove(this.#database).catch(() => {})
      }
    } finally {
      if (!loaded) database?.close()
      await this.close()
      await lock?.release()
    }
  }

  async wipe(): Promise<void> {
    await this.close()
    try {
      await remove(this.#database)
    } catch (error) {
      throw toStorageError(error, `wipe ${this.#what}`)
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

  abandon(): void {
    this.#abandoned = true
    const loaded = this.#loaded
    if (!loaded) return
    loaded.lost = true
    // What is left open by a frozen page would stand in the way of the next owner.
    if (loaded.writing?.fenced) finish(loaded.writing.transaction)
    else if (loaded.writing) abort(loaded.writing.transaction)
    void this.close()
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

  #fence(transaction: Transaction, loaded: Loaded, onPassed = () => {}): void {
    const onLost = () => {
      loaded.lost = true
    }
    fence(transaction, this.#owner, onPassed, onLost)
  }

  /** An error of a write in the library's words. */
  #explain(error: unknown, { lost, lock }: Loaded): unknown {
    return lost || lock.lost ? ownerLost(this.#what) : toStorageError(error, `write ${this.#what}`)
  }

  async #lock(timeout: number, steal: boolean): Promise<WebLock | undefined> {
    try {
      return await takeWebLock(this.#database, timeout, steal)
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
  async #record(
    loaded: Loaded,
    batch: readonly Write[],
    also: ((transaction: IDBTransaction) => void) | undefined,
  ): Promise<Head | undefined> {
    const { stores, durability } = this.#settings
    const names = also ? [...OWN, ...Object.keys(stores)] : [...OWN]
    const transaction = loaded.database.transaction(names, 'readwrite', { durability })
    const done = ended(transaction)
    let { session } = loaded
    try {
      const writing = { transaction, fenced: false }
      loaded.writing = writing
      this.#fence(transaction, loaded, () => {
        writing.fenced = true
      })
      let asked = 0
      for (const write of withoutPassing(batch)) {
        const recorded = record(transaction, loaded, session, write)
        session = recorded instanceof Promise ? await recorded : recorded
        asked += 1
        if (asked % AT_ONCE === 0) await breathe(transaction)
      }
      const kept = plain(transaction, SESSION)
      if (session && session !== loaded.session) kept.put(session, 0)
      if (!session && loaded.session) kept.delete(0)
      also?.(unwrap(transaction) as IDBTransaction)
    } catch (error) {
      abort(transaction)
      // The transaction knows why (no room), a request only that it was given up.
      const why = await done
      loaded.writing = undefined
      throw why === undefined || why.name === GIVEN_UP ? error : why
    }
    const failed = await done
    loaded.writing = undefined
    if (failed) throw failed
    return session
  }
}
