// A program as each bundler makes one file, or a few, of it: for pages, and for Node where it is asked with `require()`.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { build as viteBuild } from 'vite'
import { findTool, type Stranger } from './stranger.ts'

interface BundleOptions {
  /** Beside those for browsers. */
  readonly conditions?: readonly string[]
  /** Whatever is loaded later is within. */
  readonly single?: boolean
  /** For Node, as CommonJS, in one file. */
  readonly node?: boolean
}
/** @returns the files by their path; `/name.js` is the first */
type Bundle = (
  stranger: Stranger,
  name: string,
  code: string,
  options?: BundleOptions,
) => Promise<ReadonlyMap<string, string>>
interface Bundler extends Bundle {
  readonly title: string
  isThere(): boolean
}

const require = createRequire(import.meta.url)
const tool = (name: string) => findTool(name, `bundles by ${name}`)
const bundler = (title: string, bundle: Bundle, isThere = () => true): Bundler =>
  Object.assign(bundle, { title, isThere })

/** What a bundler has written to a folder. */
const filesIn = (folder: string): ReadonlyMap<string, string> =>
  new Map(readdirSync(folder).map((file) => [`/${file}`, readFileSync(join(folder, file), 'utf8')]))

const esbuild: Bundle = async (stranger, name, code, { node = false } = {}) => {
  const { build } = require(tool('esbuild') as string) as { build(options: object): Promise<unknown> }
  const outdir = stranger.path(`out-${name}`)
  await build({
    entryPoints: [stranger.write(`${name}.${node ? 'cjs' : 'mjs'}`, code)],
    bundle: true,
    outdir,
    entryNames: name,
    logLevel: 'error',
    ...(node
      ? { format: 'cjs', platform: 'node' }
      : { format: 'esm', platform: 'browser', splitting: true, target: 'es2022' }),
  })
  return filesIn(outdir)
}

const webpack: Bundle = async (stranger, name, code, { node = false } = {}) => {
  type Stats = { hasErrors(): boolean; toString(): string }
  type Webpack = (options: object, done: (error: Error | null, stats: Stats) => void) => void
  const run = require(tool('webpack') as string) as Webpack
  const path = stranger.path(`out-${name}`)
  mkdirSync(path, { recursive: true })
  await new Promise<void>((resolve, reject) => {
    const options = {
      mode: 'production',
      context: stranger.folder,
      entry: stranger.write(`${name}.${node ? 'cjs' : 'mjs'}`, code),
      target: node ? 'electron-main' : 'web',
      output: node
        ? { path, filename: `${name}.js` }
        : { path, filename: `${name}.js`, chunkFilename: `${name}-[id].js`, publicPath: '/' },
      // Optional natives of ws, and what only an old TypeScript of webpack warns of.
      externals: node ? ['bufferutil', 'utf-8-validate'] : [],
    }
    run(options, (error, stats) => {
      if (error) reject(error)
      else if (stats.hasErrors()) reject(new Error(stats.toString()))
      else resolve()
    })
  })
  return filesIn(path)
}

const rollup: Bundle = async (stranger, name, code) => {
  type Output = { output: { fileName: string; code?: string }[] }
  type Build = { generate(options: object): Promise<Output> }
  const { rollup: build } = require(tool('rollup') as string) as {
    rollup(options: object): Promise<Build>
  }
  const resolve = require(tool('@rollup/plugin-node-resolve') as string) as {
    nodeResolve(options: object): unknown
  }
  const input = stranger.write(`${name}.mjs`, code)
  const bundle = await build({ input, plugins: [resolve.nodeResolve({ browser: true })] })
  const { output } = await bundle.generate({ format: 'es', entryFileNames: `${name}.js` })
  return new Map(output.map((part) => [`/${part.fileName}`, part.code ?? '']))
}

const rolldownBundle: Bundle = async (stranger, name, code, { conditions = [], single = false } = {}) => {
  const bundle = await rolldown({
    input: stranger.write(`${name}.mjs`, code),
    platform: 'browser',
    resolve: { conditionNames: [...conditions, 'browser', 'import', 'default'] },
  })
  const { output } = await bundle.generate({
    format: 'es',
    entryFileNames: `${name}.js`,
    ...(single || conditions.length > 0 ? { codeSplitting: false } : {}),
  })
  await bundle.close()
  return new Map(output.map((part) => [`/${part.fileName}`, part.type === 'chunk' ? part.code : '']))
}

const vite: Bundle = async (stranger, name, code) => {
  const entry = stranger.write(`${name}.mjs`, code)
  const result = await viteBuild({
    root: stranger.folder,
    logLevel: 'silent',
    configFile: false,
    build: {
      write: false,
      target: 'es2022',
      lib: { entry, formats: ['es'], fileName: () => `${name}.js` },
    },
  })
  const output = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
  return new Map(output.map((part) => [`/${part.fileName}`, part.type === 'chunk' ? part.code : '']))
}

const installed = (name: string) => () => existsSync(join(import.meta.dirname, 'node_modules', name))

export const bundlers = {
  vite: bundler('Vite', vite),
  rolldown: bundler('Rolldown', rolldownBundle),
  esbuild: bundler('esbuild', esbuild, installed('esbuild')),
  webpack: bundler('webpack', webpack, installed('webpack')),
  rollup: bundler('Rollup', rollup, installed('rollup')),
} as const
