// Size: what a browser downloads. Everything a package exports for the browser, bundled and minified by rolldown,
// compressed by brotli at its highest level. Chunks loaded on demand are counted apart.

import { isBuiltin } from 'node:module'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { type OutputChunk, rolldown } from 'rolldown'
import { minifySync } from 'rolldown/utils'
import { reason } from '../harness/reason.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { figure, table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

interface Subject {
  name: string
  kind: Bar['kind']
  group: 'ours' | 'HTTP' | 'resilience' | 'realtime'
  code: string
}

const everything = (name: string) => `export * from '${name}'`
const only = (names: string, from: string) => `export { ${names} } from '${from}'`

const subjects: Record<string, Subject> = {
  guru: { name: 'guru-comms, all of it', kind: 'ours', group: 'ours', code: everything('guru-comms') },
  'guru-client': {
    name: 'guru-comms ApiClient',
    kind: 'ours',
    group: 'HTTP',
    code: only('ApiClient', 'guru-comms/ApiClient'),
  },
  'guru-connection': {
    name: 'guru-comms GuruConnection',
    kind: 'ours',
    group: 'realtime',
    code: only('GuruConnection', 'guru-comms/GuruConnection'),
  },
  'guru-validator': {
    name: 'guru-comms InputValidator',
    kind: 'ours',
    group: 'ours',
    code: only('InputValidator', 'guru-comms/security/InputValidator'),
  },
  'guru-policies': {
    name: 'guru-comms/policies, all of it',
    kind: 'ours',
    group: 'resilience',
    code: everything('guru-comms/policies'),
  },
  ky: { name: 'ky', kind: 'peer', group: 'HTTP', code: `export { default } from 'ky'` },
  ofetch: { name: 'ofetch', kind: 'peer', group: 'HTTP', code: everything('ofetch') },
  axios: { name: 'axios', kind: 'peer', group: 'HTTP', code: `export { default } from 'axios'` },
  'axios-retry': {
    name: 'axios + axios-retry',
    kind: 'peer',
    group: 'HTTP',
    code: `export { default } from 'axios'\nexport { default as retry } from 'axios-retry'`,
  },
  'axios-stack': {
    name: 'axios + axios-retry + cockatiel',
    kind: 'peer',
    group: 'HTTP',
    code: `export { default } from 'axios'\nexport { default as retry } from 'axios-retry'\nexport { circuitBreaker, handleAll, SamplingBreaker } from 'cockatiel'`,
  },
  'ky-stack': {
    name: 'ky + cockatiel + Bottleneck',
    kind: 'peer',
    group: 'HTTP',
    code: `export { default } from 'ky'\nexport { circuitBreaker, handleAll, SamplingBreaker } from 'cockatiel'\nexport { default as Bottleneck } from 'bottleneck'`,
  },
  cockatiel: { name: 'cockatiel', kind: 'peer', group: 'resilience', code: everything('cockatiel') },
  bottleneck: {
    name: 'Bottleneck',
    kind: 'peer',
    group: 'resilience',
    code: `export { default } from 'bottleneck'`,
  },
  limiter: { name: 'limiter', kind: 'peer', group: 'resilience', code: everything('limiter') },
  partysocket: {
    name: 'partysocket',
    kind: 'peer',
    group: 'realtime',
    code: only('WebSocket', 'partysocket'),
  },
  'reconnecting-websocket': {
    name: 'reconnecting-websocket',
    kind: 'peer',
    group: 'realtime',
    code: `export { default } from 'reconnecting-websocket'`,
  },
  'websocket-ts': { name: 'websocket-ts', kind: 'peer', group: 'realtime', code: everything('websocket-ts') },
  'socket.io': {
    name: 'socket.io-client',
    kind: 'peer',
    group: 'realtime',
    code: only('io', 'socket.io-client'),
  },
  signalr: { name: 'SignalR', kind: 'peer', group: 'realtime', code: everything('@microsoft/signalr') },
  centrifuge: { name: 'centrifuge', kind: 'peer', group: 'realtime', code: only('Centrifuge', 'centrifuge') },
}

interface Size {
  minified: number
  gzip: number
  brotli: number
  /** Brotli bytes of chunks that are loaded only when something asks for them. */
  lazy: number
  /** Modules in it that no browser has: must be none. */
  foreign: string[]
  /** Of ours: minified bytes by module, the largest first. */
  modules?: Record<string, number>
}

export interface SizeData {
  sizes: Record<string, Size>
  failures: Record<string, string>
}

function brotli(code: string): number {
  return brotliCompressSync(code, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length
}

/** What each module brings, its names shortened but nothing folded: the sum is a little more than the whole. */
function byModule(chunks: Iterable<OutputChunk>): Record<string, number> {
  const sizes: [string, number][] = []
  for (const chunk of chunks) {
    for (const [id, { code }] of Object.entries(chunk.modules)) {
      if (!code) continue
      const name = id.replace(/^.*\/(dist|node_modules)\//, '')
      sizes.push([
        name,
        minifySync(name, code, { module: true, compress: false, mangle: { toplevel: true } }).code.length,
      ])
    }
  }
  return Object.fromEntries(sizes.toSorted(([, a], [, b]) => b - a))
}

async function bundle(code: string, split: boolean): Promise<Size> {
  const entry = '\0entry'
  const built = await rolldown({
    input: entry,
    cwd: new URL('..', import.meta.url).pathname,
    platform: 'browser',
    resolve: { conditionNames: ['browser', 'import', 'module', 'default'] },
    transform: { target: 'es2023', define: { 'process.env.NODE_ENV': '"production"' } },
    logLevel: 'silent',
    plugins: [
      {
        name: 'entry',
        // The entry stands in bench/, so that its imports resolve as those of any file there.
        resolveId(id, importer) {
          if (id === entry) return entry
          if (importer === entry)
            return this.resolve(id, new URL('../entry.js', import.meta.url).pathname, { skipSelf: true })
          return null
        },
        load: (id) => (id === entry ? code : null),
      },
    ],
  })
  const { output } = await built.generate({ format: 'es', minify: true })
  await built.close()
  const chunks = output.filter((item): item is OutputChunk => item.type === 'chunk')
  const byFile = new Map(chunks.map((chunk) => [chunk.fileName, chunk]))
  const first = chunks.find((chunk) => chunk.isEntry)
  if (!first) throw new Error('no entry came out')
  const eager = new Set<OutputChunk>()
  const walk = (chunk: OutputChunk) => {
    if (eager.has(chunk)) return
    eager.add(chunk)
    for (const name of chunk.imports) {
      const next = byFile.get(name)
      if (next) walk(next)
    }
  }
  walk(first)
  const foreign = new Set(chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]))
  for (const name of byFile.keys()) foreign.delete(name)
  const missing = [...foreign].filter((name) => !isBuiltin(name))
  if (missing.length) throw new Error(`not found: ${missing.join(', ')}`)
  const text = [...eager].map((chunk) => chunk.code).join('\n')
  return {
    minified: Buffer.byteLength(text),
    gzip: gzipSync(text, { level: 9 }).length,
    brotli: brotli(text),
    lazy: chunks.filter((chunk) => !eager.has(chunk)).reduce((sum, chunk) => sum + brotli(chunk.code), 0),
    foreign: [...foreign],
    ...(split ? { modules: byModule(eager) } : {}),
  }
}

async function measure({ only: wanted, log }: Context): Promise<SizeData> {
  const data: SizeData = { sizes: {}, failures: {} }
  for (const [id, { name, code, kind }] of Object.entries(subjects)) {
    if (wanted.length && !wanted.includes(id)) continue
    try {
      const size = await bundle(code, kind === 'ours')
      data.sizes[id] = size
      log(`${name}: ${size.brotli} bytes`)
    } catch (error) {
      data.failures[id] = reason(error)
    }
  }
  return data
}

function gates({ sizes }: SizeData): Gate[] {
  const gate = (figure: string, id: string, must: number, aim: number): Gate => ({
    figure,
    bound: 'max',
    must,
    aim,
    measured: (sizes[id]?.brotli ?? Number.NaN) / 1024,
    unit: 'KB',
  })
  return [
    gate('browser bundle, brotli: everything in `.`', 'guru', 13, 10),
    gate('browser bundle, brotli: ApiClient', 'guru-client', 8, 6),
    gate('browser bundle, brotli: GuruConnection', 'guru-connection', 5, 4),
  ]
}

function tell({ sizes, failures }: SizeData): Telling {
  const parts = [
    'Bundled for browsers and minified by rolldown, compressed by brotli (level 11) and gzip (level 9). "On demand" is loaded only when used.',
  ]
  const charts: Telling['charts'] = {}
  const measured = Object.entries(subjects).filter(([id]) => sizes[id])
  charts.size = barChart({
    title: 'Browser bundle, brotli',
    subtitle: 'KB to download; shorter is better',
    bars: measured
      .map(([id, { name, kind }]) => ({ label: name, value: (sizes[id]?.brotli ?? 0) / 1024, kind }))
      .toSorted((a, b) => a.value - b.value),
    format: (value) => `${value.toFixed(1)} KB`,
  })
  const kb = (value: number) => figure(value / 1024)
  parts.push(
    '![Browser bundle, brotli](size.svg)',
    table(
      ['package', 'minified, KB', 'gzip, KB', 'brotli, KB', 'on demand, KB', 'needs what browsers lack'],
      measured
        .toSorted(([a], [b]) => (sizes[a]?.brotli ?? 0) - (sizes[b]?.brotli ?? 0))
        .map(([id, { name, kind }]) => {
          const size = sizes[id] as Size
          return [
            kind === 'ours' ? `**${name}**` : name,
            kb(size.minified),
            kb(size.gzip),
            kb(size.brotli),
            size.lazy ? kb(size.lazy) : '',
            size.foreign.join(', '),
          ]
        }),
    ),
  )
  for (const [id, { name }] of measured) {
    const modules = Object.entries(sizes[id]?.modules ?? {})
    if (!modules.length) continue
    const largest = modules.slice(0, 12).map(([module, size]) => `${module} ${figure(size / 1024)}`)
    parts.push(`**${name}**, its largest modules, KB minified: ${largest.join(', ')}.`)
  }
  const failed = Object.entries(failures)
  if (failed.length)
    parts.push(failed.map(([id, why]) => `- ${subjects[id]?.name} was not bundled: ${why}`).join('\n'))
  return { markdown: parts.join('\n\n'), charts, gates: gates({ sizes, failures }) }
}

export const size: Section<SizeData> = { name: 'size', title: 'Size', measure, tell }
