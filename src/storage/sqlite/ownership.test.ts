// Two owners of one store are what must not be: whatever is done to the files, and from wherever it is opened.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, cpSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { accept, begin, entry, number } from '../../../tests/support/outboxConformance.ts'
import { sqliteOutbox } from './SqliteOutbox.ts'
import { sqliteSessionStore } from './SqliteSessionStore.ts'

const folder = mkdtempSync(join(tmpdir(), 'guru-ownership-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

const newFile = () => join(mkdtempSync(join(folder, 'of-')), 'data.db')
const storage = (reason: string) => expect.objectContaining({ code: 'STORAGE', reason })
const session = begin('a')

function openOutbox(file: string) {
  const outbox = sqliteOutbox({ file })
  const record = outbox.load()
  cleanups.push(() => outbox.close())
  return { outbox, record }
}

function openStore(file: string) {
  const store = sqliteSessionStore({ file })
  cleanups.push(() => store.close())
  return store
}

/** What another process gets that opens the file: `fine`, or the reason of its error. */
async function elsewhere(kind: 'outbox' | 'sessions', file: string): Promise<string> {
  const of = (name: string) => JSON.stringify(join(import.meta.dirname, name))
  const open =
    kind === 'outbox'
      ? `import(${of('SqliteOutbox.ts')}).then(({ sqliteOutbox }) => sqliteOutbox({ file }).load())`
      : `import(${of('SqliteSessionStore.ts')}).then(({ sqliteSessionStore }) => sqliteSessionStore({ file }))`
  const code = `const file = ${JSON.stringify(file)}
    ${open}.then(() => console.log('fine'), (error) => console.log(error.reason ?? error))`
  const child: ChildProcess = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout?.on('data', (data) => {
    said += data
  })
  await once(child, 'close')
  return said.trim()
}

/** As a backup does it in the same process: every file of the folder is opened, read and closed. */
function copyFolder(of: string): string {
  const from = join(of, '..')
  for (const name of readdirSync(from)) {
    const descriptor = openSync(join(from, name), 'r')
    readFileSync(descriptor)
    closeSync(descriptor)
  }
  const to = `${from}-copy`
  cpSync(from, to, { recursive: true })
  return join(to, 'data.db')
}

/** Another owner that no lock has held off: its machine has other temporary files, say. */
function takeOver(file: string): void {
  const database = new DatabaseSync(file)
  database.exec("UPDATE guru_owner SET token = 'of another'")
  database.close()
}

const everything = (file: string) => {
  const database = new DatabaseSync(file, { readOnly: true })
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => [name, database.prepare(`SELECT * FROM ${name}`).all()])
  database.close()
  return tables
}

describe.each(['outbox', 'sessions'] as const)('the owner of a file: %s', (kind) => {
  const open = (file: string) => void (kind === 'outbox' ? openOutbox(file) : openStore(file))

  it('leaves nothing beside the data but what SQLite does', () => {
    const file = newFile()
    open(file)
    expect(readdirSync(join(file, '..')).toSorted()).toEqual(['data.db', 'data.db-shm', 'data.db-wal'])
  })

  it('keeps it while a backup of the same process copies the folder', async () => {
    const file = newFile()
    open(file)
    expect(await elsewhere(kind, file)).toBe('locked')
    copyFolder(file)
    expect(await elsewhere(kind, file)).toBe('locked')
    expect(() => open(file)).toThrow(storage('locked'))
  })

  it('has the copies, too, while it is there', async () => {
    const file = newFile()
    open(file)
    const copy = copyFolder(file)
    expect(await elsewhere(kind, copy)).toBe('locked')
    expect(() => open(copy)).toThrow(storage('locked'))
    cleanups.splice(0)[0]?.()
    expect(await elsewhere(kind, copy)).toBe('fine')
    // And the other way about.
    open(copy)
    expect(await elsewhere(kind, file)).toBe('locked')
  })
})

describe('an outbox that another has taken over', () => {
  it('records, numbers and destroys nothing more', () => {
    const file = newFile()
    const { outbox } = openOutbox(file)
    outbox.write([session, number('a', 1, entry(1)), accept(entry(2))])
    takeOver(file)
    const before = everything(file)
    expect(() => outbox.write([accept(entry(3))])).toThrow(storage('lost'))
    expect(() => outbox.transact('a', 1, () => expect.unreachable())).toThrow(storage('lost'))
    outbox.destroy()
    expect(everything(file)).toEqual(before)
    expect(readdirSync(join(file, '..')).filter((name) => name.endsWith('.void'))).toEqual([])
    // Closed by that: the next owner begins with all that was recorded.
    const { record } = openOutbox(file)
    expect(record).toMatchObject({ session: { sid: 'a', messages: [{ seq: 1 }] }, waiting: [{ seq: 2 }] })
  })
})

describe('a store of sessions that another has taken over', () => {
  it('records nothing more', async () => {
    const file = newFile()
    const store = openStore(file)
    expect(await store.write('a', 0, [session])).toBe('stored')
    takeOver(file)
    const before = everything(file)
    await expect(store.write('a', 0, [{ kind: 'rx', sid: 'a', rx: 1 }])).rejects.toEqual(storage('lost'))
    await expect(store.transact('a', 1, () => expect.unreachable())).rejects.toEqual(storage('lost'))
    const both = [store.write('b', 0, [begin('b')]), store.write('c', 0, [begin('c')])]
    for (const one of both) await expect(one).rejects.toEqual(storage('lost'))
    expect(everything(file)).toEqual(before)
  })

  it('that is not exclusive is shared as before', async () => {
    const file = newFile()
    const one = sqliteSessionStore({ file, exclusive: false })
    const other = sqliteSessionStore({ file, exclusive: false })
    cleanups.push(
      () => one.close(),
      () => other.close(),
    )
    expect(await one.write('a', 0, [session])).toBe('stored')
    expect(await other.write('a', 0, [{ kind: 'epoch', sid: 'a', epoch: 1 }])).toBe('stored')
  })
})
