import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { begin, entry, number, rx } from '../../../tests/support/outboxConformance.ts'
import { describeSessionStore } from '../../../tests/support/sessionStoreConformance.ts'
import { sqliteSessionStore } from './SqliteSessionStore.ts'

const folder = mkdtempSync(join(tmpdir(), 'guru-sessions-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const newFile = () => {
  files += 1
  return join(folder, `${files}.db`)
}
const storage = (reason: string) => expect.objectContaining({ name: 'StorageError', code: 'STORAGE', reason })

describeSessionStore('sessions on SQLite', {
  makePlace: () => {
    const file = newFile()
    return {
      open: () => sqliteSessionStore({ file, synchronous: 'normal' }),
      remove: () => {
        for (const ending of ['', '-wal', '-shm']) rmSync(`${file}${ending}`, { force: true })
      },
    }
  },
  runs: 60,
  transact: {
    record(database, value) {
      const known = database as DatabaseSync
      known.exec('CREATE TABLE IF NOT EXISTS effects (value TEXT)')
      known.prepare('INSERT INTO effects VALUES (?)').run(value)
    },
    recorded: (database) =>
      (database as DatabaseSync)
        .prepare('SELECT value FROM effects ORDER BY rowid')
        .all()
        .map(({ value }) => String(value)),
  },
})

describe('a session store on SQLite', () => {
  it('of what comes in one turn, what fails by itself harms no other', async () => {
    const store = sqliteSessionStore({ file: newFile() })
    await store.write('a', 0, [begin('a')])
    const results = await Promise.allSettled([
      store.write('b', 0, [begin('b')]),
      // Two messages cannot have one number.
      store.write('a', 0, [number('a', 1, entry(1)), number('a', 1, entry(2))]),
      store.write('c', 0, [begin('c')]),
      store.write('d', 0, [rx('d', 1)]),
    ])
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'))).toEqual([
      'stored',
      'failed',
      'stored',
      'stale',
    ])
    expect(store.find('a')?.session.messages).toEqual([])
    expect(store.find('c')).toBeDefined()
    store.close()
  })

  it('refuses wrong options', () => {
    expect(() => sqliteSessionStore({} as never)).toThrow(/"file"/)
    expect(() => sqliteSessionStore({ file: '' })).toThrow(/"file"/)
    expect(() => sqliteSessionStore({ file: 'x', synchronous: 'off' as never })).toThrow(/"synchronous"/)
  })

  it('says what is wrong with a file that is no database', () => {
    const file = newFile()
    writeFileSync(file, 'no database at all, but long enough to look like one'.repeat(50))
    expect(() => sqliteSessionStore({ file })).toThrow(storage('corrupt'))
    expect(() => sqliteSessionStore({ file: join(folder, 'nowhere', 'x.db') })).toThrow(
      storage('unavailable'),
    )
  })

  it('says that somebody else writes for too long', async () => {
    const file = newFile()
    const store = sqliteSessionStore({ file, busyTimeout: 0 })
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.write('a', 0, [begin('a')])).rejects.toEqual(storage('locked'))
    other.exec('ROLLBACK')
    expect(await store.write('a', 0, [begin('a')])).toBe('stored')
    other.close()
    store.close()
  })

  it('says that there is no room, and keeps what it has', async () => {
    const store = sqliteSessionStore({ file: newFile() })
    await store.write('a', 0, [begin('a')])
    const { page_count: pages } = store.database.prepare('PRAGMA page_count').get() as { page_count: number }
    store.database.exec(`PRAGMA max_page_count = ${pages}`)
    await expect(store.write('a', 0, [number('a', 1, entry(1, 'x'.repeat(1e6)))])).rejects.toEqual(
      storage('full'),
    )
    expect(store.find('a')?.session.messages).toEqual([])
    store.close()
  })

  it('says that a file is damaged whose messages have a gap', async () => {
    const store = sqliteSessionStore({ file: newFile() })
    await store.write('a', 0, [begin('a'), number('a', 1, entry(1)), number('a', 2, entry(2))])
    store.database.exec('DELETE FROM guru_session_message WHERE number = 1')
    expect(() => store.find('a')).toThrow(storage('corrupt'))
    store.close()
  })

  it('does not write into a transaction that the app has left open, and says so', async () => {
    const store = sqliteSessionStore({ file: newFile() })
    store.database.exec('BEGIN')
    await expect(store.write('a', 0, [begin('a')])).rejects.toThrow(/transaction/)
    store.database.exec('COMMIT')
    expect(await store.write('a', 0, [begin('a')])).toBe('stored')
    store.close()
  })

  it('a transaction within another is one of its own, after it', async () => {
    const store = sqliteSessionStore({ file: newFile() })
    await store.write('a', 0, [begin('a')])
    const order: string[] = []
    let inner: Promise<unknown> | undefined
    await store.transact('a', 1, () => {
      inner = store.transact('a', 2, () => order.push('inner'))
      expect(store.find('a')?.session.done).toEqual([1])
      order.push('outer')
    })
    await inner
    expect(order).toEqual(['outer', 'inner'])
    expect(store.find('a')?.session.done).toEqual([1, 2])
    store.close()
  })

  it('handlers that record in one turn wait for the disk once, and one that throws undoes only itself', async () => {
    const store = sqliteSessionStore({ file: newFile() })
    store.database.exec('CREATE TABLE effects (value INTEGER)')
    const insert = store.database.prepare('INSERT INTO effects VALUES (?)')
    await store.write('a', 0, [begin('a')])
    const results = await Promise.allSettled([
      ...[1, 2, 3].map((number) =>
        store.transact('a', number, () => {
          insert.run(number)
          if (number === 2) throw new Error('not this one')
          return number
        }),
      ),
      store.write('b', 0, [begin('b')]),
    ])
    expect(results).toMatchObject([
      { value: 1 },
      { reason: { message: 'not this one' } },
      { value: 3 },
      { value: 'stored' },
    ])
    expect(store.find('a')?.session.done).toEqual([1, 3])
    expect(store.database.prepare('SELECT value FROM effects').all()).toEqual([{ value: 1 }, { value: 3 }])
    store.close()
  })
})
