import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openDatabase, takeLock, transaction } from './database.ts'

const folder = mkdtempSync(join(tmpdir(), 'guru-database-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const newFile = () => {
  files += 1
  return join(folder, `${files}.db`)
}
const options = { synchronous: 'full', busyTimeout: 0 } as const

/** Another process that holds the lock until it dies. */
async function holder(file: string): Promise<ChildProcess> {
  const database = JSON.stringify(join(import.meta.dirname, 'database.ts'))
  const code = `import(${database}).then(({ takeLock }) => {
    globalThis.lock = takeLock(${JSON.stringify(file)})
    console.log(lock ? 'held' : 'refused')
    setInterval(() => {}, 1000)
  })`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await once(child.stdout, 'data')
  expect(String(said)).toBe('held\n')
  return child
}

describe('the lock on a file', () => {
  it('has one holder in a process, and goes to the next when it is released', () => {
    const file = newFile()
    const lock = takeLock(file)
    expect(lock).toBeDefined()
    expect(takeLock(file)).toBeUndefined()
    lock?.release()
    lock?.release()
    const next = takeLock(file)
    expect(next).toBeDefined()
    next?.release()
  })

  it('has one holder over processes: one that stands still keeps it, one that is killed gives it back', async () => {
    const file = newFile()
    const child = await holder(file)
    try {
      expect(takeLock(file)).toBeUndefined()
      child.kill('SIGSTOP')
      expect(takeLock(file)).toBeUndefined()
    } finally {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    const lock = takeLock(file)
    expect(lock).toBeDefined()
    lock?.release()
  })

  it('is not given up by an attempt of the same process to take it again', async () => {
    const file = newFile()
    const lock = takeLock(file)
    expect(takeLock(file)).toBeUndefined()
    const code = `import(${JSON.stringify(join(import.meta.dirname, 'database.ts'))}).then(({ takeLock }) =>
      console.log(takeLock(${JSON.stringify(file)}) ? 'taken' : 'refused'))`
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [said] = await once(child.stdout, 'data')
    expect(String(said)).toBe('refused\n')
    lock?.release()
  })
})

describe('opening a database', () => {
  it('makes a file that its owner alone can read', () => {
    const file = newFile()
    openDatabase(file, options).close()
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it.each([
    ['in a folder that is not there', () => join(folder, 'nowhere/x.db'), 'unavailable'],
    ['that is a folder', () => folder, 'unavailable'],
    [
      'that is no database',
      () => {
        const file = newFile()
        writeFileSync(file, 'this is no database, whatever its name says'.repeat(50))
        return file
      },
      'corrupt',
    ],
  ])('says what is wrong with a file %s', (_, file, reason) => {
    expect(() => openDatabase(file(), options)).toThrow(
      expect.objectContaining({ name: 'StorageError', code: 'STORAGE', reason }),
    )
  })

  it.skipIf(process.getuid?.() === 0)('says that a folder may not be written', () => {
    const closed = mkdtempSync(join(folder, 'closed-'))
    chmodSync(closed, 0o500)
    expect(() => openDatabase(join(closed, 'x.db'), options)).toThrow(
      expect.objectContaining({ reason: 'readOnly' }),
    )
  })
})

describe('a transaction', () => {
  it('is undone when its work throws, and the error passes as it is', () => {
    const database = openDatabase(newFile(), options)
    database.exec('CREATE TABLE t (x)')
    const wrong = new Error('the app says no')
    expect(() =>
      transaction(database, 'write', () => {
        database.exec('INSERT INTO t VALUES (1)')
        throw wrong
      }),
    ).toThrow(wrong)
    expect(database.prepare('SELECT count(*) AS n FROM t').get()?.n).toBe(0)
    database.close()
  })

  it('says "locked" when somebody else writes for too long', () => {
    const file = newFile()
    const one = openDatabase(file, options)
    const other = openDatabase(file, options)
    one.exec('BEGIN IMMEDIATE')
    expect(() => transaction(other, 'write', () => {})).toThrow(expect.objectContaining({ reason: 'locked' }))
    one.exec('ROLLBACK')
    transaction(other, 'write', () => {})
    one.close()
    other.close()
  })

  it('says "full" when there is no room, and leaves what was there', () => {
    const database = openDatabase(newFile(), options)
    database.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1); PRAGMA max_page_count = 4')
    const fill = () =>
      transaction(database, 'write', () => database.prepare('INSERT INTO t VALUES (?)').run('x'.repeat(1e6)))
    expect(fill).toThrow(
      expect.objectContaining({ reason: 'full', message: expect.stringContaining('room') }),
    )
    expect(database.prepare('SELECT count(*) AS n FROM t').get()?.n).toBe(1)
    database.close()
  })
})
