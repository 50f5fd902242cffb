// One probe in every place where the package has to work, loaded from the packed package as it is loaded there. What comes of
// it is docs/runtimes.md: `npm run docs:runtimes` writes the page anew.

import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findChromium, PATIENCE_MS, sharedBrowser } from '../browser/chromium.ts'
import { bundlers } from './bundlers.ts'
import { type ProbeServer, startProbeServer } from './probeServer.ts'
import { findTool, freePort, Stranger } from './stranger.ts'

const bun = findTool('bun/bin/bun.exe', 'the package in Bun')
const deno = findTool('deno/bin.cjs', 'the package in Deno')
const workerd = findTool('workerd/bin/workerd', 'the package in workerd')
const node22 = findTool('node22/bin/node', 'the package on Node 22.19')
const chromium = findChromium('the package in Chromium')
const firefox = ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find((path) => existsSync(path))
if (!firefox) console.warn('skipped: the package in Firefox (no firefox-esr found)')

/** Rolldown and Vite always, the others where they are installed. */
const available = (Object.keys(bundlers) as (keyof typeof bundlers)[]).filter((name) =>
  bundlers[name].isThere(),
)
const PROBE = readFileSync(join(import.meta.dirname, 'probe.mjs'), 'utf8')
const imported = `import * as library from 'guru-comms'\nimport { probe } from './probe.mjs'\n`
const told = `const results = await probe(library, JSON.parse(process.env.PROBE))
console.log(JSON.stringify(results))\n`

let stranger: Stranger
let server: ProbeServer
let addresses: string
/** By place, what it can do. */
const seen = new Map<string, Record<string, unknown>>()

beforeAll(async () => {
  server = await startProbeServer()
  addresses = JSON.stringify({ baseURL: server.baseURL, linesURL: server.linesURL })
  stranger = new Stranger()
  stranger.write('probe.mjs', PROBE)
  stranger.write('import.mjs', imported + told)
  stranger.write(
    'require.cjs',
    `const library = require('guru-comms')
import('./probe.mjs').then(async ({ probe }) => {
  const results = await probe(library, JSON.parse(process.env.PROBE))
  console.log(JSON.stringify(results))
})`,
  )
})
afterAll(async () => {
  stranger?.remove()
  await server?.close()
})

/** @param place as docs/runtimes.md names it */
function judge(place: string, results: unknown): void {
  const record = results as Record<string, unknown>
  seen.set(place, record)
  expect(record).toEqual(Object.fromEntries(Object.keys(record).map((job) => [job, true])))
  expect(Object.keys(record)).toHaveLength(5)
}

const program = async (path: string, ...args: string[]) =>
  JSON.parse(await stranger.run(path, args, { PROBE: addresses }))

describe('on a server or a desktop', () => {
  it.each(Object.entries({ 'Node 24': process.execPath, ...(node22 && { 'Node 22.19': node22 }) }))(
    '%s',
    async (name, path) => {
      judge(`${name}, \`import\``, await program(path, 'import.mjs'))
      judge(`${name}, \`require()\``, await program(path, 'require.cjs'))
    },
  )

  it.skipIf(!bun)('Bun', async () => {
    judge('Bun', await program(bun as string, 'import.mjs'))
  })

  it.skipIf(!deno)('Deno', async () => {
    const args = ['run', '--allow-all', '--quiet', '--node-modules-dir=manual', '--no-lock', 'import.mjs']
    judge('Deno', await program(process.execPath, deno as string, ...args))
  })

  it.skipIf(!workerd)('workerd (Cloudflare Workers)', async () => {
    const code = `${imported}
export default {
  async fetch() {
    return Response.json(await probe(library, ${addresses}))
  },
}`
    const bundle = await bundlers.rolldown(stranger, 'worker', code, { conditions: ['workerd', 'worker'] })
    stranger.write('worker/bundle.js', bundle.get('/worker.js') as string)
    const port = await freePort()
    stranger.write(
      'worker/config.capnp',
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "bundle.js", esModule = embed "bundle.js")], compatibilityDate = "2026-11-01")),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);`,
    )
    const child = spawn(workerd as string, ['serve', stranger.path('worker/config.capnp')], {
      stdio: 'inherit',
    })
    try {
      for (;;) {
        const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)
        if (response) {
          judge('workerd (Cloudflare Workers)', await response.json())
          break
        }
        if (child.exitCode !== null) throw new Error(`workerd ended with ${child.exitCode}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    } finally {
      child.kill('SIGKILL')
    }
  })
})

// What a page runs, and how it says what came of it.
const inPage = (name: string) =>
  `${imported}
const results = await probe(library, ${addresses}).catch((error) => ({ error: String(error) }))
await fetch('/report/${name}', { method: 'POST', body: JSON.stringify(results) })`
const page = (script: string, head = '') => `<!doctype html><title>probe</title>${head}${script}`

/** Written by hand, no bundler: an import map and the files of the package. */
function serveImportMap(name: string): string {
  const base = join(stranger.folder, 'node_modules/guru-comms')
  const manifest = JSON.parse(readFileSync(join(base, 'package.json'), 'utf8'))
  for (const [path, file] of stranger.filesOf('node_modules/guru-comms/dist', '.js'))
    server.files.set(`/dist/${path}`, file)
  for (const [path, file] of stranger.filesOf('node_modules/eventsource-parser/dist', '.js'))
    server.files.set(`/eventsource-parser/${path}`, file)
  const imports = {
    'guru-comms': '/dist/index.js',
    'eventsource-parser': '/eventsource-parser/index.js',
    ...Object.fromEntries(
      Object.entries(manifest.imports as Record<string, { browser: string }>).map(([key, { browser }]) => [
        key,
        browser.slice(1),
      ]),
    ),
  }
  const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`
  server.files.set('/probe.mjs', PROBE)
  const script = inPage(name).replaceAll("'./probe.mjs'", "'/probe.mjs'")
  server.files.set(`/${name}.html`, page(`<script type="module">${script}</script>`, map))
  return `${server.baseURL}/${name}.html`
}

async function serveBundle(bundler: keyof typeof bundlers, name: string): Promise<string> {
  const files = await bundlers[bundler](stranger, name, inPage(name))
  for (const [path, code] of files) server.files.set(path, code)
  server.files.set(`/${name}.html`, page(`<script type="module" src="/${name}.js"></script>`))
  return `${server.baseURL}/${name}.html`
}

describe.skipIf(!chromium)('in Chromium', () => {
  async function visit(url: string, name: string): Promise<unknown> {
    const browser = await sharedBrowser(chromium as string)
    const opened = await browser.newPage()
    opened.setDefaultTimeout(PATIENCE_MS)
    const failed = new Promise((_, reject) => opened.on('pageerror', reject))
    try {
      await opened.goto(url)
      return await Promise.race([server.report(name), failed])
    } finally {
      await opened.context().close()
    }
  }

  it('an import map', async () => {
    judge('Chromium, import map', await visit(serveImportMap('chromium-map'), 'chromium-map'))
  })

  it.each(available)('a bundle by %s', async (bundler) => {
    const name = `chromium-${bundler}`
    judge(`Chromium, ${bundlers[bundler].title}`, await visit(await serveBundle(bundler, name), name))
  })

  it('a service worker', async () => {
    const name = 'service-worker'
    const worker = `${imported}
addEventListener('install', () => skipWaiting())
addEventListener('activate', (event) => event.waitUntil(clients.claim()))
addEventListener('message', (event) => event.waitUntil((async () => {
  const results = await probe(library, ${addresses}).catch((error) => ({ error: String(error) }))
  await fetch('/report/${name}', { method: 'POST', body: JSON.stringify(results) })
})()))`
    for (const [path, text] of await bundlers.rolldown(stranger, name, worker, { single: true }))
      server.files.set(path, text)
    const script = `navigator.serviceWorker.register('/${name}.js', { type: 'module' })
const { active } = await navigator.serviceWorker.ready
active.postMessage('probe')`
    server.files.set(`/${name}.html`, page(`<script type="module">${script}</script>`))
    judge('Chromium, service worker', await visit(`${server.baseURL}/${name}.html`, name))
  })
})

describe.skipIf(!firefox)('in Firefox', () => {
  async function visit(url: string, name: string): Promise<unknown> {
    const profile = stranger.path(`profile-${name}`)
    stranger.write(`profile-${name}/user.js`, 'user_pref("browser.shell.checkDefaultBrowser", false);')
    const child = execFile(firefox as string, ['--headless', '--no-remote', '--profile', profile, url], {
      env: { ...process.env, HOME: stranger.folder, MOZ_CRASHREPORTER_DISABLE: '1' },
    })
    try {
      return await server.report(name)
    } finally {
      child.kill('SIGKILL')
    }
  }

  it('an import map', async () => {
    judge('Firefox, import map', await visit(serveImportMap('firefox-map'), 'firefox-map'))
  })
  it('a bundle', async () => {
    judge('Firefox, Vite', await visit(await serveBundle('vite', 'firefox-vite'), 'firefox-vite'))
  })
})

describe('bundles for Node that require', () => {
  const code = `const library = require('guru-comms')
const GuruConnection = require('guru-comms/GuruConnection')
const Endpoint = require('guru-comms/Endpoint')
if (library.GuruConnection !== GuruConnection || library.Endpoint !== Endpoint) throw new Error('two copies')
const { probe } = require('./probe.mjs')
probe(library, JSON.parse(process.env.PROBE)).then((results) => console.log(JSON.stringify(results)))`

  it.each(available.filter((name) => name === 'esbuild' || name === 'webpack'))('by %s', async (bundler) => {
    const files = await bundlers[bundler](stranger, `node-${bundler}`, code, { node: true })
    for (const [path, text] of files) stranger.write(`out${path}`, text)
    stranger.write('out/package.json', '{}')
    const title = bundler === 'esbuild' ? 'esbuild, `--format=cjs`' : 'webpack, `electron-main`'
    judge(`Node 24, ${title}`, await program(process.execPath, `out/node-${bundler}.js`))
  })
})

it('docs/runtimes.md says what was seen here', async ({ skip }) => {
  const all = [bun, deno, workerd, node22, chromium, firefox].every((path) => path !== undefined)
  if (!all) return skip('not all of them are installed')
  const require = createRequire(join(import.meta.dirname, 'package.json'))
  const version = (name: string) => require(`${name}/package.json`).version as string
  const jobs = Object.keys(seen.values().next().value ?? {})
  const lines = [...seen].map(
    ([place, results]) =>
      `| ${place} | ${jobs.map((job) => (results[job] === true ? 'yes' : 'no')).join(' | ')} |`,
  )
  const path = join(import.meta.dirname, '../../docs/runtimes.md')
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const table = `| | ${jobs.join(' | ')} |\n|---|${jobs.map(() => '---|').join('')}\n${lines.join('\n')}\n`
  const versions = `Seen with Bun ${version('bun')}, Deno ${version('deno')}, workerd ${version('workerd')}, webpack ${version('webpack')}, Rollup ${version('rollup')} and esbuild ${version('esbuild')}.\n`
  const [before = '', , after = ''] = text.split(/(?<=<!-- seen -->\n)|(?=<!-- end of seen -->)/)
  await expect(`${before}\n${table}\n${versions}\n${after}`).toMatchFileSnapshot(path)
})
