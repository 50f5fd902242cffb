// Files that are not as they should be: open to others, links, damaged, or somebody else's.

import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { accept, begin, entry, number, rx } from '../../../tests/support/outboxConformance.ts'
import { seededRandom } from '../../testing/seededRandom.ts'
import { sqliteOutbox } from './SqliteOutbox.ts'
import { sqliteSessionStore } from './SqliteSessionStore.ts'

const folder = mkdtempSync(join(tmpdir(), 'guru-hostile-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const newFile = () => {
  files += 1
  return join(folder, `${files}.db`)
}
const mode = (file: string) => statSync(file).mode & 0o777

/** Opens, reads all that is there, writes, closes. */
const uses = {
  sessions(file: string) {
    const store = sqliteSessionStore({ file, synchronous: 'normal', busyTimeout: 0 })
    try {
      for (const _ of store.list());
      store.find('a')
    } finally {
      store.close()
    }
  },
  outbox(file: string) {
    const outbox = sqliteOutbox({ file, synchronous: 'normal', busyTimeout: 0 })
    try {
      outbox.load()
      outbox.write([accept(entry(9))])
    } finally {
      outbox.close()
    }
  },
}
const all = Object.entries(uses)

/** A file with sessions and messages of both kinds, in one piece. */
async function filled(): Promise<string> {
  const file = newFile()
  const store = sqliteSessionStore({ file, synchronous: 'normal' })
  for (const sid of ['a', 'b', 'c']) {
    await store.write(sid, 0, [
      begin(sid),
      ...[1, 2, 3].map((n) => number(sid, n, { ...entry(n), payload: 'x'.repeat(900) })),
      accept(entry(4)),
    ])
    await store.transact(sid, 1, () => {})
    await store.write(sid, 0, [rx(sid, 1)])
  }
  store.close()
  const outbox = sqliteOutbox({ file, synchronous: 'normal' })
  outbox.load()
  outbox.write([begin('a'), number('a', 1, entry(1)), number('a', 2, entry(2)), accept(entry(3))])
  outbox.close()
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = DELETE')
  database.close()
  return file
}

const storageErrors = (use: () => void) => {
  try {
    use()
    return 'fine'
  } catch (error) {
    expect(error).toMatchObject({ name: 'StorageError', code: 'STORAGE' })
    return (error as { reason: string }).reason
  }
}

describe.each(all)('%s: a file', (_name, use) => {
  it('that others could read is theirs no more, nor what lies beside it', () => {
    const file = newFile()
    for (const end of ['', '-wal', '-shm']) {
      writeFileSync(`${file}${end}`, '')
      chmodSync(`${file}${end}`, 0o666)
    }
    use(file)
    expect(mode(file)).toBe(0o600)
    const readOnly = newFile()
    new DatabaseSync(readOnly).close()
    chmodSync(readOnly, 0o644)
    use(readOnly)
    expect(mode(readOnly)).toBe(0o600)
  })

  it('that is a link is what it leads to, and that is private', () => {
    const file = newFile()
    const real = newFile()
    writeFileSync(real, '')
    chmodSync(real, 0o644)
    symlinkSync(real, file)
    use(file)
    expect(mode(real)).toBe(0o600)
    expect(readFileSync(real).subarray(0, 6).toString()).toBe('SQLite')
  })

  it.each(['-wal', '-shm', '-journal'])('with a link as its %s is refused', (end) => {
    const file = newFile()
    const victim = newFile()
    writeFileSync(victim, 'precious')
    symlinkSync(victim, `${file}${end}`)
    expect(storageErrors(() => use(file))).toBe('unavailable')
    expect(readFileSync(victim, 'utf8')).toBe('precious')
  })

  it('beside which a link leads to something of value leaves that alone', () => {
    const file = newFile()
    const victim = newFile()
    writeFileSync(victim, 'precious')
    for (const end of ['-sessions.lock', '-default.lock']) symlinkSync(victim, `${file}${end}`)
    expect(storageErrors(() => use(file))).toBe('fine')
    expect(readFileSync(victim, 'utf8')).toBe('precious')
  })

  it('that is no file at all is refused', () => {
    const lost = newFile()
    symlinkSync(newFile(), lost)
    expect(storageErrors(() => use(lost))).toBe('unavailable')
    const directory = newFile()
    mkdirSync(directory)
    expect(storageErrors(() => use(directory))).toBe('unavailable')
    const round = newFile()
    symlinkSync(round, round)
    expect(storageErrors(() => use(round))).toBe('unavailable')
    const loud = newFile()
    linkSync(lost, loud)
    expect(storageErrors(() => use(loud))).toBe('unavailable')
  })

  it.each([
    ['with other tables of the same names', 'x'],
    ['with views of the same names', 'view'],
    ['with tables that lack a column', 'sid TEXT, number INTEGER'],
  ])("%s is somebody else's", (_what, how) => {
    const file = newFile()
    const database = new DatabaseSync(file)
    for (const family of [
      'guru_session',
      'guru_outbox_session',
      'guru_session_message',
      'guru_outbox_message',
    ])
      database.exec(
        how === 'view' ? `CREATE VIEW ${family} AS SELECT 1 AS x` : `CREATE TABLE ${family} (${how})`,
      )
    database.close()
    expect(storageErrors(() => use(file))).toBe('corrupt')
  })

  it('with values that nobody of ours wrote is damaged, whatever value stands where', async () => {
    const sound = readFileSync(await filled())
    const columns = {
      guru_session: [
        'key',
        'principal',
        'ttl',
        'max_messages',
        'max_bytes',
        'max_frame',
        'epoch',
        'rx',
        'acked',
      ],
      guru_session_message: ['number', 'seq', 'stream', 'payload', 'bytes', 'priority', 'expires_at'],
    }
    const values = [`'nonsense'`, `x'00ff'`, '-5', '1e300', '9223372036854775807', '0.5', 'NULL']
    let found = 0
    for (const [table, names] of Object.entries(columns))
      for (const column of names)
        for (const value of values) {
          const file = newFile()
          writeFileSync(file, sound)
          const database = new DatabaseSync(file)
          database.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN')
          // Tables of the same columns that check nothing.
          for (const name of [
            table,
            table.replace('session', 'outbox_session').replace('session_message', 'message'),
          ]) {
            database.exec(`CREATE TABLE copy AS SELECT * FROM ${name}; DROP TABLE ${name}`)
            database.exec(`ALTER TABLE copy RENAME TO ${name}; UPDATE ${name} SET ${column} = ${value}`)
          }
          database.exec('COMMIT')
          database.close()
          if (storageErrors(() => use(file)) !== 'fine') found += 1
          rmSync(file)
        }
    expect(found).toBeGreaterThan(50)
  })

  it('that is damaged anywhere is found out, or still reads: no other error, and no crash', async () => {
    const sound = readFileSync(await filled())
    const random = seededRandom(20_260)
    const below = (limit: number) => Math.floor(random() * limit)
    const outcomes = new Set<string>()
    for (let round = 0; round < 150; round += 1) {
      const bytes = Buffer.from(sound)
      let damaged: Buffer = bytes
      if (round % 3 === 0) damaged = bytes.subarray(0, below(bytes.length))
      else if (round % 3 === 1)
        for (let n = 0; n < 1 + below(40); n += 1) bytes[below(bytes.length)] = below(256)
      else bytes.fill(below(256), below(bytes.length), bytes.length)
      const file = newFile()
      writeFileSync(file, damaged)
      outcomes.add(storageErrors(() => use(file)))
      rmSync(file)
    }
    expect([...outcomes]).toContain('corrupt')
  })
})
