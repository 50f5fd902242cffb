import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { accept, begin, describeOutbox, entry, number } from '../../../tests/support/outboxConformance.ts'
import { type SqliteOutbox, sqliteOutbox } from './SqliteOutbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'guru-outbox-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const newFile = () => {
  files += 1
  return join(folder, `${files}.db`)
}

const transact = {
  record(database: unknown, value: string) {
    const db = database as DatabaseSync
    db.exec('CREATE TABLE IF NOT EXISTS effect (value TEXT)')
    db.prepare('INSERT INTO effect VALUES (?)').run(value)
  },
  recorded(database: unknown): string[] {
    const db = database as DatabaseSync
    db.exec('CREATE TABLE IF NOT EXISTS effect (value TEXT)')
    return db
      .prepare('SELECT value FROM effect ORDER BY rowid')
      .all()
      .map(({ value }) => value as string)
  },
}

describeOutbox('an outbox of SQLite', {
  makePlace: () => {
    const file = newFile()
    return { open: () => sqliteOutbox({ file }), remove: () => {} }
  },
  runs: 60,
  many: 100_000,
  transact,
})

describe('the file of an outbox', () => {
  it('holds several, each with its owner', () => {
    const file = newFile()
    const one = sqliteOutbox({ file, name: 'one' })
    const other = sqliteOutbox({ file, name: 'the/other' })
    one.load()
    other.load()
    one.write([begin('a'), number('a', 1, entry(1)), accept(entry(2))])
    other.write([begin('b'), number('b', 1, entry(1)), accept(entry(2))])
    one.destroy()
    other.close()
    expect(other.load()).toMatchObject({
      session: { sid: 'b', messages: [{ seq: 1 }] },
      waiting: [{ seq: 2 }],
    })
    expect(one.load()).toEqual({ session: undefined, waiting: [] })
    one.close()
    other.close()
  })

  it('has one owner, by whatever path it is named', () => {
    const file = newFile()
    const link = newFile()
    const one = sqliteOutbox({ file })
    one.load()
    symlinkSync(file, link)
    const other = sqliteOutbox({ file: link })
    expect(() => other.load()).toThrow(expect.objectContaining({ reason: 'locked' }))
    one.close()
    other.load()
    other.close()
  })

  it('tells a second owner what to do', () => {
    const file = newFile()
    const one = sqliteOutbox({ file })
    one.load()
    expect(() => sqliteOutbox({ file }).load()).toThrow(
      `the outbox "default" in ${file} is in use by another connection, here or in another process: an outbox has one owner at a time. Close that one, or give this one another "name"`,
    )
    one.close()
  })

  it('in memory is nobody else’s', () => {
    const one = sqliteOutbox({ file: ':memory:' })
    const other = sqliteOutbox({ file: ':memory:' })
    one.load()
    other.load()
    one.write([accept(entry(1))])
    one.destroy()
    other.destroy()
    expect(existsSync(':memory:')).toBe(false)
  })

  it.each([
    [{}, 'file'],
    [{ file: '' }, 'file'],
    [{ file: 'x', name: '' }, 'name'],
    [{ file: 'x', synchronous: 'off' }, 'synchronous'],
    [{ file: 'x', busyTimeout: -1 }, 'busyTimeout'],
  ])('is not opened with %j', (options, name) => {
    expect(() => sqliteOutbox(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: name }),
    )
  })
})

describe('an outbox that fails', () => {
  const reasonOf = (deed: () => unknown) => {
    try {
      deed()
    } catch (error) {
      return (error as { reason?: unknown }).reason ?? error
    }
    return undefined
  }

  /** From the second page on, the file is garbage. */
  const damage = (file: string) => {
    const outbox = sqliteOutbox({ file })
    outbox.load()
    outbox.write([begin('a'), ...Array.from({ length: 200 }, (_, i) => number('a', i + 1, entry(i + 1)))])
    outbox.close()
    writeFileSync(file, Buffer.alloc(100_000, 'x'), { flag: 'r+', flush: true })
  }

  it('says that its file is damaged, keeps it aside when it is destroyed, and begins anew', () => {
    const file = newFile()
    damage(file)
    const outbox = sqliteOutbox({ file })
    expect(reasonOf(() => outbox.load())).toBe('corrupt')
    outbox.destroy()
    expect(existsSync(`${file}.damaged`)).toBe(true)
    expect(outbox.load()).toEqual({ session: undefined, waiting: [] })
    outbox.close()
    damage(file)
    outbox.destroy()
    expect(existsSync(`${file}.damaged-2`)).toBe(true)
  })

  it('says that messages are missing', () => {
    const file = newFile()
    const outbox = sqliteOutbox({ file })
    outbox.load()
    outbox.write([begin('a'), ...[1, 2, 3].map((n) => number('a', n, entry(n)))])
    outbox.close()
    const database = new DatabaseSync(file)
    database.exec('DELETE FROM guru_outbox_message WHERE number = 2')
    database.close()
    expect(reasonOf(() => outbox.load())).toBe('corrupt')
  })

  /** No room for one page more. */
  const fill = (outbox: SqliteOutbox) =>
    outbox.transact('a', 99, (database) => {
      const pages = database.prepare('PRAGMA page_count').get()?.page_count
      database.exec(`PRAGMA max_page_count = ${pages}`)
    })
  const large = number('a', 2, entry(2, 'x'.repeat(100_000)))

  it('says that the disk is full, keeps what it had, and goes on when there is room', () => {
    const file = newFile()
    const outbox = sqliteOutbox({ file })
    outbox.load()
    outbox.write([begin('a'), number('a', 1, entry(1))])
    fill(outbox)
    expect(reasonOf(() => outbox.write([accept(entry(3)), large]))).toBe('full')
    expect(reasonOf(() => outbox.transact('a', 5, () => outbox))).toBeUndefined()
    outbox.transact('a', 6, (database) => database.exec('PRAGMA max_page_count = 100000'))
    outbox.write([large])
    outbox.close()
    expect(outbox.load().session?.messages.map(({ seq }) => seq)).toEqual([1, 2])
    outbox.close()
  })

  it('waits no longer than it is told for another writer, then says "locked"', () => {
    const file = newFile()
    const outbox = sqliteOutbox({ file, busyTimeout: 10 })
    outbox.load()
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    expect(reasonOf(() => outbox.write([accept(entry(1))]))).toBe('locked')
    other.exec('ROLLBACK')
    other.close()
    outbox.write([accept(entry(2))])
    outbox.close()
    expect(outbox.load().waiting.map(({ seq }) => seq)).toEqual([2])
    outbox.close()
  })

  it('is void at the next start when it could not even be emptied', () => {
    const file = newFile()
    const outbox = sqliteOutbox({ file, busyTimeout: 10 })
    outbox.load()
    outbox.write([begin('a'), number('a', 1, entry(1)), accept(entry(2))])
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    outbox.destroy()
    other.exec('ROLLBACK')
    expect(other.prepare('SELECT count(*) AS n FROM guru_outbox_message').get()?.n).toBe(2)
    other.close()
    expect(outbox.load()).toEqual({ session: undefined, waiting: [] })
    outbox.write([accept(entry(3))])
    outbox.close()
    expect(outbox.load().waiting).toHaveLength(1)
    outbox.close()
  })

  it('leaves alone what another owns, and makes no file only to destroy it', () => {
    const file = newFile()
    sqliteOutbox({ file }).destroy()
    expect(existsSync(file)).toBe(false)
    const owner = sqliteOutbox({ file })
    owner.load()
    owner.write([accept(entry(1))])
    sqliteOutbox({ file }).destroy()
    owner.close()
    expect(owner.load().waiting).toHaveLength(1)
    owner.close()
    expect(readdirSync(folder).filter((one) => one.endsWith('.void'))).toEqual([])
  })

  it('says that it may only be read', () => {
    const outbox = sqliteOutbox({ file: newFile() })
    outbox.load()
    outbox.transact('a', 1, (database) => database.exec('PRAGMA query_only = 1'))
    expect(reasonOf(() => outbox.write([accept(entry(1))]))).toBe('readOnly')
    outbox.close()
  })

  it.skipIf(process.getuid?.() === 0)('says that its file may only be read', () => {
    const file = newFile()
    const outbox = sqliteOutbox({ file })
    outbox.load()
    outbox.close()
    chmodSync(file, 0o400)
    expect(reasonOf(() => outbox.load())).toBe('readOnly')
    chmodSync(file, 0o600)
  })
})

describe('a process that is killed', () => {
  /** Records messages one by one, and says the number of each once it is recorded. */
  function start(file: string): ChildProcess {
    const here = JSON.stringify(import.meta.dirname)
    const code = `
      const { sqliteOutbox } = await import(${here} + '/SqliteOutbox.ts')
      const outbox = sqliteOutbox({ file: ${JSON.stringify(file)} })
      const { session } = outbox.load()
      if (!session) outbox.write([${JSON.stringify(begin('a'))}])
      const { acked, messages } = session ?? { acked: 0, messages: [] }
      let n = acked + messages.length
      const tick = () => {
        n += 1
        const entry = { seq: n, stream: -1, payload: 'message ' + n, bytes: 9, priority: 0, expiresAt: -1 }
        outbox.write([{ kind: 'number', sid: 'a', number: n, entry }])
        process.stdout.write(n + '\\n')
        setImmediate(tick)
      }
      tick()`
    return spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  it('leaves all that it had recorded, in order, and its lock', async () => {
    const file = newFile()
    let known = 0
    for (let round = 1; round <= 5; round += 1) {
      const child = start(file)
      const gone = once(child, 'exit')
      child.stdout?.setEncoding('utf8')
      let said = ''
      const enough = known + 30 * round
      for await (const text of child.stdout as AsyncIterable<string>) {
        said += text
        const lines = said.split('\n')
        const last = Number(lines.at(-2) ?? 0)
        known = Math.max(known, last)
        if (known > enough) child.kill('SIGKILL')
      }
      await gone
      const outbox = sqliteOutbox({ file })
      const { session } = outbox.load()
      const found = session?.messages.map(({ seq }) => seq) ?? []
      // One more may have been recorded than could be told.
      expect([known, known + 1]).toContain(found.length)
      expect(found).toEqual(found.map((_, index) => index + 1))
      outbox.close()
    }
    expect(known).toBeGreaterThan(450)
  })

  it('is not succeeded while it merely stands still', async () => {
    const file = newFile()
    const child = start(file)
    const gone = once(child, 'exit')
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    try {
      child.kill('SIGSTOP')
      expect(() => sqliteOutbox({ file }).load()).toThrow(expect.objectContaining({ reason: 'locked' }))
    } finally {
      child.kill('SIGKILL')
      await gone
    }
    const outbox = sqliteOutbox({ file })
    expect(outbox.load().session?.sid).toBe('a')
    outbox.close()
  })
})
