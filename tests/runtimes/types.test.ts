// The declarations, as every TypeScript from the least to the newest reads them, in every way of resolving modules.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findTool, Stranger } from './stranger.ts'

const root = join(import.meta.dirname, '../..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const subpaths = Object.keys(manifest.exports).filter((path) => path !== './package.json')
/** What only runs in Node is declared in Node's words. */
const NODE_ONLY = ['./server', './testing', './storage/sqlite', './redis']

const compilers = Object.entries({
  // The least that docs/runtimes.md promises.
  'TypeScript 5.7': findTool('typescript57/bin/tsc', 'the types under TypeScript 5.7'),
  'TypeScript 5.9': findTool('typescript59/bin/tsc', 'the types under TypeScript 5.9'),
  'TypeScript 7': join(root, 'node_modules/typescript/bin/tsc'),
}).flatMap(([name, path]) => (path ? [[name, path] as const] : []))

interface AttwCore {
  createPackageFromTarballData(tarball: Uint8Array): object
  checkPackage(pack: object): Promise<{ types: unknown; problems?: unknown[] }>
}

const importing = (paths: readonly string[]) => `${paths
  .map((path, index) => `import * as it${index} from '${path.replace('.', 'guru-comms')}'`)
  .join('\n')}
export const all: unknown[] = [${paths.map((_, index) => `it${index}`).join()}]
`
const REQUIRING = `import { ApiClient } from 'guru-comms'
import GuruConnection = require('guru-comms/GuruConnection')
import Endpoint = require('guru-comms/Endpoint')
const options: GuruConnection.GuruConnectionOptions = { url: 'ws://localhost:1', autoConnect: false }
export const made: [ApiClient?, Endpoint?] = []
export const connection = new GuruConnection<{ in: string; out: { type: 'ask' } }>(options)
connection.send({ type: 'ask' })
// @ts-expect-error a message of another shape
connection.send({ type: 'order' })
`

const TYPED = `import { GuruConnection } from 'guru-comms'
type In =
  | { type: 'presence'; who: string }
  | { type: 'news'; text: string }
  | { type: 'error'; message: string; of: number }
type Out = { type: 'ask'; id: string; text: string } | { type: 'bye' }
const url = 'ws://localhost:1'
const typed = new GuruConnection<{ in: In; out: Out }>({ url, autoConnect: false })
typed.on('presence', (message) => message.who.length)
typed.once('news', ({ text }) => text.length)
typed.on('error', (error) => error.stack)
typed.on('close', ({ code }) => code + 1)
// @ts-expect-error no message has this type, and no event this name
typed.on('presense', () => {})
// @ts-expect-error news have a text
typed.on('news', (message: { who: string }) => message.who)
// @ts-expect-error strings are not among what is sent
typed.send('hello')
// @ts-expect-error a question has a text
typed.send({ type: 'ask', id: '1' })
typed.request({ type: 'ask', text: 'without an id' })
typed.request({ type: 'ask', id: '7', text: 'with one' })
// @ts-expect-error not without its text
typed.request({ type: 'ask' })

const lines = new GuruConnection<{ in: string; out: string }>({ url, autoConnect: false })
lines.send('hello')
// @ts-expect-error only strings
lines.send({ type: 'ask' })

const any = new GuruConnection({ url, autoConnect: false })
any.on('whatever', (message) => message)
any.send('text')
any.send(new Uint8Array(1))
any.request({ what: 'ever' })
export const all = [typed, lines, any]
`

describe.each(compilers)('with %s, libraries checked', (_name, tsc) => {
  let stranger: Stranger
  beforeAll(() => {
    stranger = new Stranger()
    stranger.link('@types/node', join(root, 'node_modules/@types/node'))
    stranger.link('undici-types', join(root, 'node_modules/undici-types'))
  })
  afterAll(() => stranger?.remove())

  async function check(file: string, text: string, options: object): Promise<string> {
    stranger.write(`types/${file}`, text)
    stranger.write('types/package.json', '{}')
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      target: 'es2022',
      lib: ['es2022', 'dom'],
      types: [],
      typeRoots: [],
      noEmit: true,
      skipLibCheck: false,
      ...options,
    }
    stranger.write('types/tsconfig.json', JSON.stringify({ compilerOptions, files: [file] }))
    return stranger.run(process.execPath, [tsc, '-p', 'types'])
  }

  const browser = subpaths.filter((path) => !NODE_ONLY.includes(path))

  it('a page: no word of Node', async () => {
    expect(await check('page.mts', importing(browser), { module: 'nodenext' })).toBe('')
    expect(
      await check('page.ts', importing(browser), { module: 'esnext', moduleResolution: 'bundler' }),
    ).toBe('')
  })

  it('events and messages by their types', async () => {
    expect(await check('typed.mts', TYPED, { module: 'nodenext' })).toBe('')
  })

  it('Node, every subpath', async () => {
    expect(await check('node.mts', importing(subpaths), { module: 'nodenext' })).toBe('')
  })

  it('CommonJS: the class is what is required, and its types are in it', async () => {
    expect(await check('old.cts', REQUIRING, { module: 'nodenext' })).toBe('')
  })
})

describe('attw', () => {
  const can = findTool('@arethetypeswrong/core', 'the types as attw reads them') !== undefined
  it.skipIf(!can)('has nothing to say', async () => {
    const stranger = new Stranger()
    try {
      const name = '@arethetypeswrong/core'
      const { checkPackage, createPackageFromTarballData } = (await import(
        stranger.path(`node_modules/${name}/dist/index.js`)
      )) as AttwCore
      const tarball = readFileSync(stranger.path(stranger.tarball))
      const result = await checkPackage(createPackageFromTarballData(tarball))
      expect(result.types).not.toBe(false)
      expect(result.problems).toEqual([])
    } finally {
      stranger.remove()
    }
  })
})
