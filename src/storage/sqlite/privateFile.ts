// Files that their owner alone may read, whatever stands there before: they hold the keys of sessions, and messages. It
// closes no descriptor of a file that SQLite may have open: that would give up all its locks (fcntl(2)).

import { chmodSync, closeSync, lstatSync, openSync, realpathSync, type Stats } from 'node:fs'
import { StorageError } from '../StorageError.ts'

/** What SQLite puts beside a database. */
const BESIDE: readonly string[] = ['-wal', '-shm', '-journal']
const OTHERS = 0o077

/**
 * Makes the file if it is new, and takes rights away from others on it and on what SQLite has put beside it.
 * @returns its path without symbolic links: what was looked at is what is to be opened
 * @throws StorageError `unavailable` for what is no file; the error of the file system
 */
export function makePrivate(file: string): string {
  const path = create(file)
  for (const beside of BESIDE) tighten(`${path}${beside}`, lstatSync(`${path}${beside}`, IF_THERE))
  return path
}

const IF_THERE = { throwIfNoEntry: false } as const

function create(file: string): string {
  try {
    closeSync(openSync(file, 'wx', 0o600))
    return realpathSync(file)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
  }
  // It may be a link to a file; one that leads nowhere is an error of the file system.
  const path = realpathSync(file)
  tighten(path, lstatSync(path))
  return path
}

function tighten(path: string, stats: Stats | undefined): void {
  if (!stats) return
  if (!stats.isFile()) {
    const what = stats.isSymbolicLink() ? 'a symbolic link' : 'no regular file'
    throw new StorageError(`cannot open ${path}: it is ${what}. Give the store a file of its own`, {
      reason: 'unavailable',
    })
  }
  if ((stats.mode & OTHERS) !== 0) chmodSync(path, stats.mode & 0o700)
}
