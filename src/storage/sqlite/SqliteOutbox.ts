// A client's durable outbox in a file, on `node:sqlite`. Everything is synchronous: what `write` has returned from is on
// the disk. Several outboxes, by name, and tables of the app may share the file.

import { existsSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import {
  checkOption,
  checkOptions,
  delay,
  oneOf,
  type Rule,
  type Rules,
  withDefaults,
} from '../../core/options.ts'
import type { OutboxRecord, OutboxStore, Write } from '../../session/store.ts'
import { alreadyOwned, notLoaded, OutboxHead, recordedTwice, refusePromise } from '../outboxHead.ts'
import { isStorageError } from '../StorageError.ts'
import { IN_MEMORY, openDatabase, ownTables, transaction } from './database.ts'
import { createTables, forgetOutbox, type OutboxStatements, prepareOutbox } from './outboxTables.ts'
import { Ownership } from './ownership.ts'

export interface SqliteOutboxOptions {
  /** The database; made when it is not there, but not its folder. `:memory:` survives nothing. */
  file: string
  /** One file holds any number of outboxes; each connection needs one of its own. @default 'default' */
  name?: string | undefined
  /**
   * `full`: what was recorded survives a loss of power. `normal`: the death of the process only; several times faster.
   * @default 'full'
   */
  synchronous?: 'full' | 'normal' | undefined
  /** Milliseconds to wait for somebody else's write to the same file; the process stands still meanwhile. @default 2000 */
  busyTimeout?: number | undefined
}

const filled: Rule = {
  expected: 'a string that is not empty',
  accepts: (value) => typeof value === 'string' && value !== '',
}
const rules: Rules<SqliteOutboxOptions> = {
  file: filled,
  name: filled,
  synchronous: oneOf('full', 'normal'),
  busyTimeout: delay,
}
const defaults = { name: 'default', synchronous: 'full', busyTimeout: 2000 } as const

/** Its transactions work on the `DatabaseSync` that holds the outbox. */
export interface SqliteOutbox extends OutboxStore {
  load(): OutboxRecord
  write(writes: readonly Write[]): void
  transact<T>(sid: string, number: number, run: (database: DatabaseSync) => T): T
  destroy(): void
  close(): void
}

/**
 * A durable outbox for `GuruConnection`'s `storage`: a file of SQLite. Nothing is opened before the connection starts.
 * It has one owner: who holds a lock of the operating system, which takes that back when the process dies. An owner that lost it all
 * the same (its files were copied over, say) finds another's token in the database, and touches nothing more: `reason: 'lost'`.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option
 */
export function sqliteOutbox(options: SqliteOutboxOptions): SqliteOutbox {
  checkOptions('sqliteOutbox', options, rules)
  // The one option without a default.
  checkOption('sqliteOutbox', 'file', options.file, filled)
  return new Outbox(withDefaults<Settings>({ ...defaults, file: '' }, options))
}

interface Settings {
  readonly file: string
  readonly name: string
  readonly synchronous: 'full' | 'normal'
  readonly busyTimeout: number
}

/** What there is while the outbox is loaded. */
interface Loaded {
  readonly database: DatabaseSync
  readonly statements: OutboxStatements
  /** Nobody else can have what lives in memory. */
  readonly owner: Ownership | undefined
  head: OutboxHead
}

class Outbox implements SqliteOutbox {
  readonly #settings: Settings
  #loaded: Loaded | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  load(): OutboxRecord {
    const { file, name } = this.#settings
    if (this.#loaded) throw this.#owned()
    const database = openDatabase(file, this.#settings)
    let owner: Ownership | undefined
    try {
      owner = this.#own(database)
      if (!owner && file !== IN_MEMORY) throw this.#owned()
      const record = ownTables(`read ${this.#what}`, () => {
        createTables(database)
        this.#finishDestroying(database)
        const statements = prepareOutbox(database, name)
        const read = statements.read()
        this.#loaded = { database, statements, owner, head: OutboxHead.of(read) }
        return read
      })
      return record
    } catch (error) {
      database.close()
      owner?.release()
      throw error
    }
  }

  write(writes: readonly Write[]): void {
    const loaded = this.#need()
    const head = loaded.head.copy()
    transaction(loaded.database, `write ${this.#what}`, () => {
      loaded.owner?.check()
      for (const write of writes) {
        const { last } = head
        if (head.step(write)) ownTables(`write ${this.#what}`, () => loaded.statements.record(write, last))
      }
    })
    loaded.head = head
  }

  transact<T>(sid: string, number: number, run: (database: DatabaseSync) => T): T {
    const { database, statements, owner } = this.#need()
    return transaction(database, `write ${this.#what}`, () => {
      owner?.check()
      // Not asked for: the session, which may come to be recorded after its first messages are handled.
      if (!statements.addDone(sid, number)) throw recordedTwice(number)
      return refusePromise(run(database))
    })
  }

  destroy(): void {
    const { file } = this.#settings
    let owned = this.#loaded !== undefined
    try {
      if (this.#loaded) this.#forget(this.#loaded.database, this.#loaded.owner)
      else if (existsSync(file)) {
        const database = openDatabase(file, this.#settings)
        let owner: Ownership | undefined
        try {
          owner = this.#own(database)
          // Somebody else's: it is not ours to throw away.
          if (!owner) return
          owned = true
          ownTables('destroy', () => createTables(database))
          this.#forget(database, owner)
        } finally {
          database.close()
          owner?.release()
        }
      }
    } catch (error) {
      const reason = isStorageError(error) ? error.reason : undefined
      // What is damaged is nobody's.
      if (reason === 'corrupt' || (owned && reason !== 'lost')) this.#markDestroyed(error)
    } finally {
      this.close()
    }
  }

  #forget(database: DatabaseSync, owner: Ownership | undefined): void {
    transaction(database, 'destroy', () => {
      owner?.check()
      forgetOutbox(database, this.#settings.name)
    })
  }

  close(): void {
    const loaded = this.#loaded
    if (!loaded) return
    this.#loaded = undefined
    try {
      loaded.database.close()
    } catch {
      // From within a transaction, say. What was recorded is on the disk; the ownership is what matters now.
    } finally {
      loaded.owner?.release()
    }
  }

  get #what(): string {
    return `the outbox "${this.#settings.name}" in ${this.#settings.file}`
  }

  #owned(): Error {
    return alreadyOwned(this.#what, 'Close that one, or give this one another "name"')
  }

  #need(): Loaded {
    if (!this.#loaded) throw notLoaded()
    return this.#loaded
  }

  /** The path of a file beside the database: the same by whatever path the database was named. */
  #beside(ending: string): string {
    const { file, name } = this.#settings
    return `${realpathSync(file)}-${encodeURIComponent(name)}.${ending}`
  }

  #own(database: DatabaseSync): Ownership | undefined {
    const { file, name } = this.#settings
    return file === IN_MEMORY ? undefined : Ownership.take(database, `outbox ${name}`, this.#what)
  }

  /**
   * What is there could not be thrown away. A damaged file is put aside; where there is no room even to delete, an empty
   * file says that the content is void, which `load` heeds.
   */
  #markDestroyed(error: unknown): void {
    const { file } = this.#settings
    if (file === IN_MEMORY) return
    try {
      if (!isStorageError(error) || error.reason !== 'corrupt') {
        writeFileSync(this.#beside('void'), '')
        return
      }
      this.close()
      let aside = `${file}.damaged`
      for (let count = 2; existsSync(aside); count += 1) aside = `${file}.damaged-${count}`
      renameSync(file, aside)
      if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, `${aside}-wal`)
      rmSync(`${file}-shm`, { force: true })
    } catch {
      // A best effort: where nothing at all can be written, nothing can be loaded and sent again either.
    }
  }

  #finishDestroying(database: DatabaseSync): void {
    const { file, name } = this.#settings
    if (file === IN_MEMORY) return
    const mark = this.#beside('void')
    if (!existsSync(mark)) return
    transaction(database, `write ${this.#what}`, () => forgetOutbox(database, name))
    rmSync(mark)
  }
}
