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
import { type FileLock, IN_MEMORY, openDatabase, ownTables, takeLock, transaction } from './database.ts'
import { createTables, forgetOutbox, type OutboxStatements, prepareOutbox } from './outboxTables.ts'

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
 * Beside the database lies an empty file, `<file>-<name>.lock`: who has it open owns the outbox, and the operating system
 * takes it back when the process dies.
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
  readonly lock: FileLock | undefined
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
    let lock: FileLock | undefined
    try {
      lock = this.#lock()
      if (!lock && file !== IN_MEMORY) throw this.#owned()
      const record = ownTables(`read ${this.#what}`, () => {
        createTables(database)
        this.#finishDestroying(database)
        const statements = prepareOutbox(database, name)
        const read = statements.read()
        this.#loaded = { database, statements, lock, head: OutboxHead.of(read) }
        return read
      })
      return record
    } catch (error) {
      database.close()
      lock?.release()
      throw error
    }
  }

  write(writes: readonly Write[]): void {
    const loaded = this.#need()
    const head = loaded.head.copy()
    transaction(loaded.database, `write ${this.#what}`, () => {
      for (const write of writes) {
        const { last } = head
        if (head.step(write)) ownTables(`write ${this.#what}`, () => loaded.statements.record(write, last))
      }
    })
    loaded.head = head
  }

  transact<T>(sid: string, number: number, run: (database: DatabaseSync) => T): T {
    const { database, statements } = this.#need()
    return transaction(database, `write ${this.#what}`, () => {
      // Not asked for: the session, which may come to be recorded after its first messages are handled.
      if (!statements.addDone(sid, number)) throw recordedTwice(number)
      return refusePromise(run(database))
    })
  }

  destroy(): void {
    const { file, name } = this.#settings
    const loaded = this.#loaded
    let lock: FileLock | undefined
    try {
      if (loaded) transaction(loaded.database, 'destroy', () => forgetOutbox(loaded.database, name))
      else if (existsSync(file)) {
        lock = this.#lock()
        // Somebody else's: it is not ours to throw away.
        if (!lock) return
        const database = openDatabase(file, this.#settings)
        try {
          ownTables('destroy', () => createTables(database))
          transaction(database, 'destroy', () => forgetOutbox(database, name))
        } finally {
          database.close()
        }
      }
    } catch (error) {
      this.#markDestroyed(error)
    } finally {
      this.close()
      lock?.release()
    }
  }

  close(): void {
    const loaded = this.#loaded
    if (!loaded) return
    this.#loaded = undefined
    try {
      loaded.database.close()
    } catch {
      // From within a transaction, say. What was recorded is on the disk; the lock is what matters now.
    } finally {
      loaded.lock?.release()
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

  #lock(): FileLock | undefined {
    return this.#settings.file === IN_MEMORY ? undefined : takeLock(this.#beside('lock'))
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
