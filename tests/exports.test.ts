// What a stranger installs: the packed tarball in an empty folder, loaded in every way it can be, every snippet of
// the pages run from there, and its browser build looked through.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { promisedOutput, runSnippet, snippetsOf } from './support/snippets.ts'

const root = join(import.meta.dirname, '..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const subpaths = Object.keys(manifest.exports).filter((path) => path !== './package.json')
const specifiers = subpaths.map((path) => path.replace(/^\./, 'guru-comms'))

const folder = mkdtempSync(join(tmpdir(), 'guru-comms-'))
const run = (file: string) =>
  execFileSync(process.execPath, [join(folder, file)], { cwd: folder, encoding: 'utf8' })
const npm = (...args: string[]) =>
  execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

let backend: { port: number; close(): Promise<unknown> }

beforeAll(async () => {
  writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }')
  const [tarball] = JSON.parse(npm('pack', root, '--json', '--ignore-scripts')) as { filename: string }[]
  npm('install', `./${tarball?.filename}`, '--no-audit', '--no-fund', '--prefer-offline')
  const { createBackend } = await import('guru-comms/server')
  backend = await createBackend({ port: 0 })
})

afterAll(async () => {
  await backend?.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('the packed package', () => {
  it('holds what it needs and nothing else', () => {
    const installed = join(folder, 'node_modules/guru-comms')
    const pages = [
      'ARCHITECTURE.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'PROTOCOL.md',
      'README.md',
      'SECURITY.md',
    ]
    const folders = ['bench', 'dist', 'docs', 'examples', 'package.json', 'src']
    expect(readdirSync(installed).sort()).toEqual([...pages, ...folders])
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
    expect(files.filter((file) => /\.test\.|tsbuildinfo|__pycache__/.test(file))).toEqual([])
  })

  it('what its pages link to is there', () => {
    const installed = join(folder, 'node_modules/guru-comms')
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
    const broken = files
      .filter((file) => file.endsWith('.md'))
      .flatMap((page) => {
        const text = readFileSync(join(installed, page), 'utf8').replace(/```.*?```/gs, '')
        const links = [...text.matchAll(/\]\(([^)#\s]+)(#[^)\s]+)?\)/g)].map(([, path]) => path ?? '')
        const local = links.filter((path) => !/^[a-z]+:/.test(path))
        return local
          .filter((path) => !existsSync(join(installed, page, '..', path)))
          .map((path) => `${page}: ${path}`)
      })
    expect(broken).toEqual([])
  })

  it.each(specifiers)('%s loads with import and with require, and gives the same', (specifier) => {
    const name = specifier.replace(/\W+/g, '-')
    writeFileSync(
      join(folder, `${name}.mjs`),
      `import * as it from '${specifier}'; console.log(Object.keys(it).sort().join())`,
    )
    writeFileSync(
      join(folder, `${name}.cjs`),
      `const it = require('${specifier}'); console.log(typeof it === 'function' ? it.name : Object.keys(it).sort().join())`,
    )
    const imported = run(`${name}.mjs`).trim().split(',')
    const required = run(`${name}.cjs`).trim().split(',')
    if (imported.includes('module.exports')) expect(required).toEqual([specifier.split('/').at(-1)])
    else expect(required).toEqual(imported)
  })

  it('only GuruConnection and Endpoint are their class when required', () => {
    const whole = specifiers.filter((specifier) => {
      writeFileSync(join(folder, 'whole.cjs'), `console.log(typeof require('${specifier}'))`)
      return run('whole.cjs').trim() === 'function'
    })
    expect(whole.sort()).toEqual(['guru-comms/Endpoint', 'guru-comms/GuruConnection'])
  })

  it('Node has one copy, whether by import or by require', () => {
    writeFileSync(
      join(folder, 'one.mjs'),
      `import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
for (const name of ${JSON.stringify(specifiers)}) {
  const imported = await import(name)
  const required = require(name)
  for (const [key, value] of Object.entries(imported)) {
    if (key !== 'module.exports' && required[key] !== value) console.log(name, key)
  }
}
const { GuruConnection } = await import('guru-comms')
console.log(require('guru-comms/GuruConnection') === GuruConnection)`,
    )
    expect(run('one.mjs')).toBe('true\n')
  })

  it('the original forms work as written', () => {
    writeFileSync(
      join(folder, 'original.cjs'),
      `const GuruConnection = require('guru-comms/GuruConnection')
const { ApiClient, ApiError, TimeoutError, CircuitBreakerError } = require('guru-comms/ApiClient')
const Endpoint = require('guru-comms/Endpoint')
const { RateLimiter, RateLimitError } = require('guru-comms/security/RateLimiter')
const { InputValidator } = require('guru-comms/security/InputValidator')
const classes = [GuruConnection, ApiClient, ApiError, TimeoutError, CircuitBreakerError, Endpoint, RateLimiter, RateLimitError, InputValidator]
console.log(classes.map((it) => it.name).join())`,
    )
    writeFileSync(
      join(folder, 'original.mjs'),
      `import { Endpoint, ApiClient, GuruConnection } from 'guru-comms'
console.log([Endpoint, ApiClient, GuruConnection].map((it) => it.name).join())`,
    )
    expect(run('original.cjs').trim()).toBe(
      'GuruConnection,ApiClient,ApiError,TimeoutError,CircuitBreakerError,Endpoint,RateLimiter,RateLimitError,InputValidator',
    )
    expect(run('original.mjs').trim()).toBe('Endpoint,ApiClient,GuruConnection')
  })

  it('its types hold for a stranger under the strictest settings', () => {
    mkdirSync(join(folder, 'types'), { recursive: true })
    writeFileSync(
      join(folder, 'types/use.mts'),
      `${specifiers.map((specifier, index) => `import * as it${index} from '${specifier}'`).join('\n')}
export const all: unknown[] = [${specifiers.map((_, index) => `it${index}`).join()}]
import { ApiClient, GuruConnection } from 'guru-comms'
const connection = new GuruConnection<{ in: { type: 'news'; text: string }; out: { type: 'ask' } }>({ url: 'ws://localhost:1', autoConnect: false })
connection.send({ type: 'ask' })
// @ts-expect-error a message of another shape
connection.send({ type: 'order' })
// @ts-expect-error a timeout is a number
new ApiClient({ baseURL: 'http://localhost:1', timeout: '5' })
`,
    )
    writeFileSync(
      join(folder, 'types/tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          module: 'nodenext',
          target: 'es2023',
          lib: ['es2024', 'esnext.disposable', 'dom', 'dom.iterable', 'dom.asynciterable'],
          noEmit: true,
          skipLibCheck: false,
          types: ['node', 'ws'],
          typeRoots: [join(root, 'node_modules/@types')],
        },
      }),
    )
    execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(folder, 'types')], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  })

  it('publint has nothing to say', async () => {
    const { publint } = await import('publint')
    const { messages } = await publint({
      pkgDir: join(folder, 'node_modules/guru-comms'),
      pack: false,
      strict: true,
    })
    expect(messages).toEqual([])
  })
})

describe('in a browser bundle', () => {
  async function bundle(code: string): Promise<string> {
    const entry = join(folder, 'entry.mjs')
    writeFileSync(entry, code)
    const result = await build({
      root: folder,
      logLevel: 'silent',
      configFile: false,
      build: {
        write: false,
        minify: true,
        target: 'es2022',
        lib: { entry, formats: ['es'] },
        rollupOptions: { external: [] },
      },
    })
    const outputs = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
    return outputs.map((part) => (part.type === 'chunk' ? part.code : '')).join('\n')
  }

  it('"." brings nothing of the server, of Node, or of what is passed in', async () => {
    const code = await bundle(`export * from 'guru-comms'`)
    expect(code).not.toMatch(/(?:from|import\()\s*["'](?:node:|undici|ws["'])|require\(/)
    // Names of what stands there alone: an error of ours may well speak of undici.
    expect(code).not.toMatch(/createBackend|ProxyAgent|SessionServer|InputValidator|ratelimit-policy/)
    expect(code).not.toMatch(/\bprocess\.|\bBuffer\b/)
  })

  it('who takes one policy ships no other', async () => {
    const code = await bundle(`export { bulkhead } from 'guru-comms/policies'`)
    expect(code).not.toMatch(/Circuit breaker|Rate limit exceeded/)
  })
})

describe('every snippet of the pages runs as it stands and prints what it says', () => {
  const pages = [
    'README.md',
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.md'))
      .map((file) => join('docs', file)),
  ]
  const snippets = pages.flatMap((page) => snippetsOf(root, page))

  it.each(snippets.map((snippet) => [snippet.name, snippet] as const))('%s', async (_name, snippet) => {
    const output = await runSnippet(folder, snippet, backend.port)
    for (const promised of promisedOutput(snippet)) expect(output).toContain(promised)
  })
})
