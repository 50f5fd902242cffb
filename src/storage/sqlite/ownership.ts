// Who owns a part of a database. Two things say so, for each alone can fail: a lock of the operating system, that a process
// which dies gives back; and a token in the database, that every transaction looks at before it records or destroys anything.
//
// The lock is on a file of its own in the folder for temporary files, found by an id in the database. Beside the data it would
// be given up by whoever copies that folder in the same process (POSIX locks go when any descriptor of the file is closed); and
// a copy of the database has the same id, so that it cannot be used beside the original.

import { lstatSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { randomId } from '../../core/randomId.ts'
import { ownerLost } from '../outboxHead.ts'
import { type FileLock, ownTables, takeLock, transaction } from './database.ts'

export class Ownership {
  readonly #token: StatementSync
  readonly #name: string
  readonly #mine: string
  readonly #lock: FileLock
  readonly #what: string

  /**
   * Takes a part of a database, or returns `undefined` when it is somebody's, in this process or another.
   * @param part names it in the database
   * @param what names it in messages of errors
   * @throws StorageError
   */
  static take(database: DatabaseSync, part: string, what: string): Ownership | undefined {
    const id = ownTables(`read ${what}`, () => identify(database, part, what))
    const lock = takeLock(lockFile(database, id))
    if (!lock) return undefined
    try {
      const mine = randomId()
      transaction(database, `write ${what}`, () =>
        database.prepare('UPDATE guru_owner SET token = ? WHERE part = ?').run(mine, part),
      )
      return new Ownership(database, part, mine, lock, what)
    } catch (error) {
      lock.release()
      throw error
    }
  }

  private constructor(database: DatabaseSync, name: string, mine: string, lock: FileLock, what: string) {
    this.#token = database.prepare('SELECT token FROM guru_owner WHERE part = ?')
    this.#name = name
    this.#mine = mine
    this.#lock = lock
    this.#what = what
  }

  /**
   * To be called within each transaction, before anything is written.
   * @throws StorageError `lost` when another has taken it
   */
  check(): void {
    if (this.#token.get(this.#name)?.token !== this.#mine) throw ownerLost(this.#what)
  }

  release(): void {
    this.#lock.release()
  }
}

/** The id of a part: the same for as long as the database lives, in all its copies. */
function identify(database: DatabaseSync, part: string, what: string): string {
  const table = "SELECT 1 FROM sqlite_schema WHERE name = 'guru_owner'"
  // Read first: who is only to be told that it is somebody's has to write nothing.
  const found = database.prepare(table).get() && readId(database, part)
  if (found) return found
  return transaction(database, `write ${what}`, () => {
    database.exec(`CREATE TABLE IF NOT EXISTS guru_owner (
      part TEXT PRIMARY KEY, id TEXT NOT NULL, token TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`)
    database.prepare("INSERT OR IGNORE INTO guru_owner VALUES (?, ?, '')").run(part, randomId())
    return readId(database, part) as string
  })
}

function readId(database: DatabaseSync, part: string): string | undefined {
  const id = database.prepare('SELECT id FROM guru_owner WHERE part = ?').get(part)?.id
  if (id !== undefined && !/^[0-9a-f]{32}$/.test(String(id))) throw new Error(`the id of "${part}" is none`)
  return id as string | undefined
}

function lockFile(database: DatabaseSync, id: string): string {
  return join(lockFolder() ?? dirname(database.location() ?? ''), `guru-${id}.lock`)
}

/** A folder of this user's; `undefined` where there can be none: somebody else has taken the name. */
function lockFolder(): string | undefined {
  const user = process.getuid?.()
  const folder = join(tmpdir(), `guru-comms-locks${user === undefined ? '' : `-${user}`}`)
  try {
    mkdirSync(folder, { mode: 0o700, recursive: true })
    const stats = lstatSync(folder)
    return stats.isDirectory() && (user === undefined || stats.uid === user) ? folder : undefined
  } catch {
    return undefined
  }
}
