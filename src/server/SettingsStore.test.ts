import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SettingsStore } from './SettingsStore.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'guru-settings-'))
  file = join(folder, 'settings.json')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const store = (path: string | undefined = file, warnings: unknown[] = []) => {
  const log = () => {}
  return new SettingsStore(path, 1000, {
    debug: log,
    info: log,
    error: log,
    warn: (text) => warnings.push(text),
  })
}

describe('the settings', () => {
  it('without a file live as long as the process', async () => {
    const settings = new SettingsStore(undefined, 1000, undefined)
    expect(await settings.merge({ voice: 'calm' })).toEqual({ voice: 'calm' })
    expect(settings.get()).toEqual({ voice: 'calm' })
  })

  it('are overlaid, written, and there again after a restart', async () => {
    const settings = store()
    await settings.merge({ voice: 'calm', speed: 1 })
    await settings.merge({ speed: 2 })
    expect(store().get()).toEqual({ voice: 'calm', speed: 2 })
    expect(readdirSync(folder)).toEqual(['settings.json'])
  })

  it('many changes at once all arrive, in order', async () => {
    const settings = store()
    await Promise.all(Array.from({ length: 20 }, (_, n) => settings.merge({ last: n, [`key${n}`]: n })))
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(settings.get())
    expect(settings.get()).toMatchObject({ last: 19, key0: 0, key19: 19 })
  })

  it('what cannot be written is not in force, and the next change may succeed', async () => {
    const settings = store(join(folder, 'missing', 'settings.json'))
    await expect(settings.merge({ voice: 'calm' })).rejects.toMatchObject({ code: 'ENOENT' })
    expect(settings.get()).toEqual({})
    expect(readdirSync(folder)).toEqual([])
  })

  it('do not grow without bound', async () => {
    const settings = store()
    await settings.merge({ a: 'x'.repeat(600) })
    await expect(settings.merge({ b: 'x'.repeat(600) })).rejects.toMatchObject({ status: 413 })
    expect(settings.get()).not.toHaveProperty('b')
  })

  it('are stored as small as they are sent, however deep', async () => {
    let deep: unknown = {}
    for (let level = 0; level < 60; level += 1) deep = { a: deep }
    await store().merge({ deep })
    expect(statSync(file).size).toBe(JSON.stringify({ deep }).length + 1)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(store().get()).toEqual({ deep })
  })

  it.each([
    '{ half',
    '[1]',
    'null',
    '"text"',
    `{"a":${'['.repeat(64)}${']'.repeat(64)}}`,
    `{"a":"${'x'.repeat(20_000)}"}`,
  ])('a file with %.20s in it is reported and kept aside', async (content) => {
    writeFileSync(file, content)
    const warnings: unknown[] = []
    const settings = store(file, warnings)
    expect(warnings).toHaveLength(1)
    expect(settings.get()).toEqual({})
    await settings.merge({ voice: 'calm' })
    expect(readFileSync(`${file}.unreadable`, 'utf8')).toBe(content)
    expect(store().get()).toEqual({ voice: 'calm' })
  })
})
