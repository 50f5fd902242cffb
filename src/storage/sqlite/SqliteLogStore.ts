// Logs in a file, on `node:sqlite`: they survive the process. Several processes of one machine
// may share the file.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import {
  checkOption,
  checkOptions,
  clockRule,
  delay,
  oneOf,
  type Rules,
  withDefaults,
} from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { cutRecord, type LogStep, type LogStore, type LogWrite } from '../../replies/LogStore.ts'
import { isJson, type LogHead, type LogRecord } from '../../replies/log.ts'
import { StorageError } from '../StorageError.ts'
import { openDatabase, storageCall, transaction } from './database.ts'

export interface SqliteLogStoreOptions {
  /** The database; made when it is not there, but not its folder. `:memory:` survives nothing. */
  file: string
  /**
   * `full`: what was appended survives a loss of power. `normal`: the death of the process only;
   * several times faster.
   * @default 'normal'
   */
  synchronous?: 'full' | 'normal' | undefined
  /**
   * Milliseconds to wait for somebody else's write to the same file; the process stands still
   * meanwhile.
   * @default 2000
   */
  busyTimeout?: number | undefined
  /**
   * How often it looks for what other processes wrote while a reader waits, in milliseconds.
   * @default 100
   */
  pollInterval?: number | undefined
  clock?: Clock | undefined
}

const filled = {
  expected: 'a string that is not empty',
  accepts: (value: unknown) => typeof value === 'string' && value !== '',
}
const rules: Rules<SqliteLogStoreOptions> = {
  file: filled,
  synchronous: oneOf('full', 'normal'),
  busyTimeout: delay,
  pollInterval: delay,
  clock: clockRule,
}
const defaults = { synchronous: 'normal', busyTimeout: 2000, pollInterval: 100, clock: systemClock } as const

interface Settings {
  readonly file: string
  readonly synchronous: 'full' | 'normal'
  readonly busyTimeout: number
  readonly pollInterval: number
  readonly clock: Clock
}

/**
 * A durable store for replies: a file of SQLite, in write-ahead mode, opened at once.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option; StorageError
 * (`code: 'STORAGE'`) when the file cannot be opened
 */
export function sqliteLogStore(options: SqliteLogStoreOptions): LogStore {
  checkOptions('sqliteLogStore', options, rules)
  checkOption('sqliteLogStore', 'file', options.file, filled)
  return new Store(withDefaults<Settings>({ ...defaults, file: '' }, options))
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS guru_logs (path TEXT PRIMARY KEY, head TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS guru_log_records (
    path TEXT NOT NULL, position INTEGER NOT NULL, units INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (path, position)
  ) STRICT;
`

/** A row as SQLite gives it. */
interface RecordRow {
  readonly position: number
  readonly units: number
  readonly data: Uint8Array
}

class Store implements LogStore {
  readonly #database: DatabaseSync
  readonly #settings: Settings
  readonly #findHead: StatementSync
  readonly #putHead: StatementSync
  readonly #removeHead: StatementSync
  readonly #append: StatementSync
  readonly #removeRecords: StatementSync
  readonly #read: StatementSync
  readonly #version: StatementSync

  constructor(settings: Settings) {
    this.#settings = settings
    this.#database = openDatabase(settings.file, settings)
    const database = this.#database
    try {
      storageCall(this.#what, () => database.exec(TABLES))
      this.#findHead = database.prepare('SELECT head FROM guru_logs WHERE path = ?')
      this.#putHead = database.prepare(
        'INSERT INTO guru_logs VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET head = excluded.head',
      )
      this.#removeHead = database.prepare('DELETE FROM guru_logs WHERE path = ?')
      this.#append = database.prepare('INSERT INTO guru_log_records VALUES (?, ?, ?, ?)')
      this.#removeRecords = database.prepare('DELETE FROM guru_log_records WHERE path = ?')
      // The record that holds a position is the last one that begins at it or before.
      this.#read = database.prepare(
        `SELECT position, units, data FROM guru_log_records WHERE path = ?1 AND position >= coalesce((
           SELECT max(position) FROM guru_log_records WHERE path = ?1 AND position <= ?2), 0)
         ORDER BY position`,
      )
      this.#version = database.prepare('PRAGMA data_version')
    } catch (error) {
      database.close()
      throw error
    }
  }

  transact<T>(paths: readonly string[], step: LogStep<T>): T {
    this.#needOpen()
    // Most steps only look: they do not wait for who writes.
    const { result, writes } = this.#run(paths, step)
    if (writes.length === 0) return result
    return transaction(this.#database, this.#what, () => {
      const again = this.#run(paths, step)
      for (const write of again.writes) this.#record(write)
      return again.result
    })
  }

  read(path: string, from: number, maxBytes: number): readonly LogRecord[] {
    this.#needOpen()
    return storageCall(this.#what, () => {
      const found: LogRecord[] = []
      let bytes = 0
      for (const row of this.#read.iterate(path, from) as Iterable<unknown>) {
        const { position, units, data } = row as RecordRow
        if (position + units <= from) continue
        found.push({ position, units, data })
        bytes += data.length
        if (bytes >= maxBytes) break
      }
      return found
    })
  }

  *list(): Iterable<LogHead> {
    this.#needOpen()
    const paths = storageCall(this.#what, () => this.#database.prepare('SELECT path FROM guru_logs').all())
    // One at a time: together they may not fit into memory.
    for (const { path } of paths) {
      const head = this.#head(path as string)
      if (head) yield head
    }
  }

  /** SQLite tells that somebody else has written, not what. */
  watch(listener: (path: undefined) => void): () => void {
    const { clock, pollInterval } = this.#settings
    let seen = this.#dataVersion
    let timer: TimerHandle
    const look = () => {
      if (!this.#database.isOpen) return
      const version = this.#dataVersion
      if (version !== seen) listener(undefined)
      seen = version
      timer = clock.setTimeout(look, pollInterval, true)
    }
    timer = clock.setTimeout(look, pollInterval, true)
    return () => clock.clearTimeout(timer)
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  get #what(): string {
    return `use the logs in ${this.#settings.file}`
  }

  get #dataVersion(): unknown {
    return storageCall(this.#what, () => this.#version.get()?.data_version)
  }

  #needOpen(): void {
    if (!this.#database.isOpen) throw new StorageError('the store of logs is closed', { reason: 'closed' })
  }

  #run<T>(paths: readonly string[], step: LogStep<T>): ReturnType<LogStep<T>> {
    return step(paths.map((path) => this.#head(path)))
  }

  #head(path: string): LogHead | undefined {
    const row = storageCall(this.#what, () => this.#findHead.get(path))
    if (!row) return undefined
    try {
      return JSON.parse(row.head as string) as LogHead
    } catch (error) {
      throw new StorageError(`cannot ${this.#what}: what is kept of ${path} is damaged`, {
        reason: 'corrupt',
        cause: error,
      })
    }
  }

  #record(write: LogWrite): void {
    switch (write.kind) {
      case 'put':
        this.#putHead.run(write.head.path, JSON.stringify(write.head))
        return
      case 'append': {
        const { position, units, data } = write.record
        this.#append.run(write.path, position, units, data)
        return
      }
      case 'copy': {
        const { from, to, until } = write
        const head = this.#head(from)
        const json = head !== undefined && isJson(head)
        for (const row of this.#read.iterate(from, 0) as Iterable<unknown>) {
          const record = row as RecordRow
          if (record.position >= until) break
          const { position, units, data } = cutRecord(record, until - record.position, json)
          this.#append.run(to, position, units, data)
        }
        return
      }
      case 'remove':
        this.#removeRecords.run(write.path)
        if (write.head) this.#removeHead.run(write.path)
    }
  }
}
