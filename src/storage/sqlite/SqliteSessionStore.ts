// A server's sessions in a file, on `node:sqlite`. What the sessions and the handlers of a server record in one turn is one
// transaction: the wait for the disk is the same for one as for a thousand.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  checkOption,
  checkOptions,
  delay,
  flag,
  oneOf,
  type Rule,
  type Rules,
  withDefaults,
} from '../../core/options.ts'
import type { SessionStore, StoredSession, Write, WriteResult } from '../../session/store.ts'
import { recordedTwice, refusePromise } from '../outboxHead.ts'
import { StorageError } from '../StorageError.ts'
import { IN_MEMORY, openDatabase, ownTables, toStorageError, transaction } from './database.ts'
import { Ownership } from './ownership.ts'
import { createSessionTables, prepareSessions, type SessionStatements } from './sessionTables.ts'

export interface SqliteSessionStoreOptions {
  /** The database; made when it is not there, but not its folder. `:memory:` survives nothing. */
  file: string
  /**
   * `full`: what was recorded survives a loss of power. `normal`: the death of the process only; several times faster.
   * @default 'full'
   */
  synchronous?: 'full' | 'normal' | undefined
  /** Milliseconds to wait for somebody else's write to the same file; the process stands still meanwhile. @default 2000 */
  busyTimeout?: number | undefined
  /**
   * Whether it belongs to one server at a time: each takes up all sessions of the file and lets those expire that nobody
   * resumes, which must not befall those of another. Without it, writes are fenced by epochs all the same. @default true
   */
  exclusive?: boolean | undefined
}

const filled: Rule = {
  expected: 'a string that is not empty',
  accepts: (value) => typeof value === 'string' && value !== '',
}
const rules: Rules<SqliteSessionStoreOptions> = {
  file: filled,
  synchronous: oneOf('full', 'normal'),
  busyTimeout: delay,
  exclusive: flag,
}
const defaults = { synchronous: 'full', busyTimeout: 2000, exclusive: true } as const

/** Its transactions work on `database`. */
export interface SqliteSessionStore extends SessionStore {
  /** For tables of the app: what a handler records stands beside the sessions, in one transaction with them. */
  readonly database: DatabaseSync
  find(sid: string): StoredSession | undefined
  write(sid: string, epoch: number, writes: readonly Write[]): Promise<WriteResult>
  list(): Iterable<StoredSession>
  transact<T>(sid: string, number: number, run: (database: DatabaseSync) => T): Promise<T>
  close(): void
}

/**
 * A durable store for `SessionServer`'s `store`: a file of SQLite, in write-ahead mode. It is opened at once. Tables of
 * the app may share the file. One server owns the sessions: who holds a lock of the operating system, which takes that back when the
 * process dies. An owner that lost them all the same finds another's token in the database, and writes nothing more: `reason: 'lost'`.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option; StorageError (`code: 'STORAGE'`) when the
 * file cannot be opened: `locked`, `corrupt`, `full`, `readOnly`, `unavailable`
 */
export function sqliteSessionStore(options: SqliteSessionStoreOptions): SqliteSessionStore {
  checkOptions('sqliteSessionStore', options, rules)
  // The one option without a default.
  checkOption('sqliteSessionStore', 'file', options.file, filled)
  return new Store(withDefaults<Settings>({ ...defaults, file: '' }, options))
}

interface Settings {
  readonly file: string
  readonly synchronous: 'full' | 'normal'
  readonly busyTimeout: number
  readonly exclusive: boolean
}

/** Something to do within a transaction, and who waits for it. */
interface Job {
  readonly run: () => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

class Store implements SqliteSessionStore {
  readonly #database: DatabaseSync
  readonly #statements: SessionStatements
  readonly #file: string
  readonly #owner: Ownership | undefined
  readonly #begin: StatementSync
  readonly #keep: StatementSync
  readonly #undo: StatementSync
  #jobs: Job[] = []
  #working = false

  constructor(settings: Settings) {
    this.#file = settings.file
    this.#database = openDatabase(settings.file, settings)
    try {
      const database = this.#database
      this.#owner = settings.exclusive ? this.#own() : undefined
      this.#statements = ownTables(`read ${this.#what}`, () => {
        createSessionTables(database)
        return prepareSessions(database)
      })
      this.#begin = database.prepare('SAVEPOINT guru_job')
      this.#keep = database.prepare('RELEASE guru_job')
      this.#undo = database.prepare('ROLLBACK TO guru_job')
    } catch (error) {
      this.#database.close()
      this.#owner?.release()
      throw error
    }
  }

  get database(): DatabaseSync {
    return this.#database
  }

  find(sid: string): StoredSession | undefined {
    this.#needOpen()
    this.#flush()
    return ownTables(`read ${this.#what}`, () => this.#statements.find(sid))
  }

  write(sid: string, epoch: number, writes: readonly Write[]): Promise<WriteResult> {
    return this.#do(() => {
      if (this.#isStale(sid, epoch, writes)) return 'stale'
      ownTables(`write ${this.#what}`, () => {
        for (const write of writes) this.#statements.record(sid, write)
      })
      return 'stored'
    })
  }

  *list(): Iterable<StoredSession> {
    this.#needOpen()
    this.#flush()
    for (const sid of ownTables(`read ${this.#what}`, () => this.#statements.sids())) {
      // One at a time: together they may not fit into memory. Who is gone meanwhile is gone.
      const found = this.find(sid)
      if (found) yield found
    }
  }

  transact<T>(sid: string, number: number, run: (database: DatabaseSync) => T): Promise<T> {
    return this.#do(() => {
      const known = this.#statements.progress(sid)
      if (!known) {
        throw new StorageError('the session of this message is over: nothing is recorded', {
          reason: 'conflict',
        })
      }
      if (number <= known.rx || !this.#statements.addDone(sid, number)) throw recordedTwice(number)
      return refusePromise(run(this.#database))
    })
  }

  close(): void {
    if (!this.#database.isOpen) return
    this.#flush()
    try {
      this.#database.close()
    } catch {
      // What was recorded is on the disk: whoever closes has nothing to do about the rest.
    }
    this.#owner?.release()
  }

  #own(): Ownership | undefined {
    if (this.#file === IN_MEMORY) return undefined
    const owner = Ownership.take(this.#database, 'sessions', this.#what)
    if (owner) return owner
    throw new StorageError(
      `${this.#what} belong to another server, here or in another process: close that one first, or give this one a file of its own`,
      { reason: 'locked' },
    )
  }

  get #what(): string {
    return `the sessions in ${this.#file}`
  }

  #needOpen(): void {
    if (!this.#database.isOpen) {
      throw new StorageError('the session store is closed', { reason: 'closed' })
    }
  }

  #do<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#needOpen()
      if (this.#jobs.length === 0) queueMicrotask(() => this.#flush())
      this.#jobs.push({ run, resolve, reject })
    })
  }

  /** Does all that waits, in order, in one transaction. */
  #flush(): void {
    // Asked from within a job: what waits has its turn after it.
    if (this.#jobs.length === 0 || this.#working) return
    const jobs = this.#jobs
    this.#jobs = []
    this.#working = true
    const what = `write ${this.#what}`
    try {
      const told = transaction(this.#database, what, () => {
        this.#owner?.check()
        return jobs.length === 1 ? [this.#alone(jobs[0] as Job)] : jobs.map((job) => this.#among(job, what))
      })
      for (const tell of told) tell()
    } catch (error) {
      for (const { reject } of jobs) reject(error)
    } finally {
      this.#working = false
    }
  }

  /** Returns how its owner is told, once the transaction is on the disk. */
  #alone({ run, resolve }: Job): () => void {
    const value = run() as never
    return () => resolve(value)
  }

  /** One that throws undoes itself and harms no other. */
  #among(job: Job, what: string): () => void {
    this.#begin.run()
    try {
      const tell = this.#alone(job)
      this.#keep.run()
      return tell
    } catch (error) {
      // On some errors, such as a full disk, SQLite has undone the whole transaction.
      if (!this.#database.isTransaction) throw error
      this.#undo.run()
      this.#keep.run()
      return () => job.reject(toStorageError(error, what))
    }
  }

  #isStale(sid: string, held: number, writes: readonly Write[]): boolean {
    const known = this.#statements.progress(sid)
    const begins = writes[0]?.kind === 'begin'
    if (!known || begins) return !begins || known !== undefined
    if (known.epoch > held) return true
    let highest = known.epoch
    for (const write of writes) {
      if (write.kind !== 'epoch') continue
      if (write.epoch <= highest) return true
      highest = write.epoch
    }
    return false
  }
}
