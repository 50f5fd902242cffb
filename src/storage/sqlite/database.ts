// Opening a database of `node:sqlite`, a transaction of it, its errors in the library's words, and a lock that the
// kernel takes back when its holder dies. It knows no table.

import { DatabaseSync } from 'node:sqlite'
import { isStorageError, StorageError, type StorageReason } from '../StorageError.ts'
import { makePrivate } from './privateFile.ts'

export interface OpenOptions {
  /**
   * `full` survives a loss of power, `normal` only the death of the process (after a loss of power the last writes
   * may be missing).
   */
  readonly synchronous: 'full' | 'normal'
  /** Milliseconds to wait for somebody else's write to the same file; the process stands still meanwhile. */
  readonly busyTimeout: number
}

/** What no other process can open: it needs no lock and leaves no file. */
export const IN_MEMORY = ':memory:'

/**
 * Opens `file`, or makes it, in write-ahead mode. Nobody but its owner can read it from now on: it holds keys of sessions.
 * @throws StorageError `unavailable`, `readOnly`, `corrupt`, `full`, `locked`
 */
export function openDatabase(file: string, { synchronous, busyTimeout }: OpenOptions): DatabaseSync {
  return storageCall(`open ${file}`, () => {
    const path = file === IN_MEMORY ? file : makePrivate(file)
    const database = new DatabaseSync(path, { timeout: busyTimeout })
    try {
      // The first statement that reads the file: it finds out what is no database.
      database.exec('PRAGMA journal_mode = WAL')
      database.exec(`PRAGMA synchronous = ${synchronous === 'full' ? 'FULL' : 'NORMAL'}`)
      return database
    } catch (error) {
      database.close()
      throw error
    }
  })
}

/**
 * Runs `run` in a transaction that begins by taking the right to write; undone when it throws. `what` names the deed in
 * the message of the error.
 * @throws what `run` throws, or StorageError
 */
export function transaction<T>(database: DatabaseSync, what: string, run: () => T): T {
  storageCall(what, () => database.exec('BEGIN IMMEDIATE'))
  try {
    const result = run()
    database.exec('COMMIT')
    return result
  } catch (error) {
    // On some errors SQLite has rolled back by itself.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw toStorageError(error, what)
  }
}

/** Runs `run`; errors of SQLite and of the file system become StorageErrors, others pass. */
export function storageCall<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw toStorageError(error, what)
  }
}

/**
 * Runs `run`, which makes or reads tables of ours and nothing of the app's. What else can go wrong there than the file
 * system: tables of the same name that are somebody else's, or values that no version of ours has written.
 */
export function ownTables<T>(what: string, run: () => T): T {
  try {
    return storageCall(what, run)
  } catch (error) {
    if (isStorageError(error)) throw error
    throw new StorageError(`cannot ${what}: ${(error as Error).message}. ${ADVICE.corrupt}`, {
      reason: 'corrupt',
      cause: error,
    })
  }
}

/** A lock on a file; `release` may be called twice. */
export interface FileLock {
  release(): void
}

/**
 * Takes the lock that `file` stands for, or `undefined` when somebody holds it, in this process or another. It is an open
 * write transaction of an empty database: the operating system takes it back when the process ends, however it ends, and
 * a process that merely stands still keeps it. The file stays: removing it would part those who hold it from those who come.
 * @throws StorageError when the file cannot be made
 */
export function takeLock(file: string): FileLock | undefined {
  return storageCall(`lock ${file}`, () => {
    const database = new DatabaseSync(makePrivate(file), { timeout: 0 })
    try {
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      if (reasonOf(error) === 'locked') return undefined
      throw error
    }
    return {
      release() {
        // Closing rolls the transaction back.
        if (database.isOpen) database.close()
      },
    }
  })
}

/** `error` as a StorageError when it is one of SQLite or of the file system; else as it is. */
export function toStorageError(error: unknown, what: string): unknown {
  if (isStorageError(error)) return error
  const reason = reasonOf(error)
  if (reason === undefined) return error
  return new StorageError(`cannot ${what}: ${(error as Error).message}. ${ADVICE[reason]}`, {
    reason,
    cause: error,
  })
}

type FileReason = Exclude<StorageReason, 'conflict' | 'lost' | 'closed'>

const ADVICE: Record<FileReason, string> = {
  locked: 'Somebody else uses the file: end that process or give this one a file of its own',
  corrupt: "The file is damaged, no database, or somebody else's: move it away, or restore it",
  full: 'Make room on the disk',
  readOnly: 'Give the process the right to write the file and its folder',
  unavailable: 'See that the folder exists and may be written',
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const BY_CODE: Partial<Record<number, FileReason>> = {
  5: 'locked',
  6: 'locked',
  8: 'readOnly',
  10: 'unavailable',
  11: 'corrupt',
  13: 'full',
  14: 'unavailable',
  15: 'locked',
  23: 'unavailable',
  26: 'corrupt',
}

const BY_ERRNO: Partial<Record<string, FileReason>> = {
  EACCES: 'readOnly',
  EPERM: 'readOnly',
  EROFS: 'readOnly',
  ENOSPC: 'full',
  EDQUOT: 'full',
  ENOENT: 'unavailable',
  ENOTDIR: 'unavailable',
  EISDIR: 'unavailable',
  EMFILE: 'unavailable',
  ENFILE: 'unavailable',
  EIO: 'unavailable',
  ELOOP: 'unavailable',
  ENAMETOOLONG: 'unavailable',
}

function reasonOf(error: unknown): FileReason | undefined {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  // The low byte is the primary code, the rest says more about it.
  if (code === 'ERR_SQLITE_ERROR') return BY_CODE[Number(errcode) & 0xff]
  return typeof code === 'string' ? BY_ERRNO[code] : undefined
}
