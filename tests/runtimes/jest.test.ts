// Jest loads no ES modules: it is given the CommonJS build, in its own realm, and everything works as in Node.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ProbeServer, startProbeServer } from './probeServer.ts'
import { findTool, Stranger } from './stranger.ts'

const jests = { 'Jest 30': 'jest/bin/jest.js', 'Jest 29': 'jest29/bin/jest.js' }
const can = findTool(jests['Jest 30'], 'the package under Jest') !== undefined
const node22 = findTool('node22/bin/node', 'the package on Node 22.19')
const nodes = { 'Node 24': process.execPath, ...(node22 && { 'Node 22.19': node22 }) }
const combinations = Object.entries(nodes).flatMap(([node, path]) =>
  Object.entries(jests).map(([jest, file]) => [jest, node, file, path] as const),
)

const ORIGINAL = `const GuruConnection = require('guru-comms/GuruConnection')
const { ApiClient, ApiError, TimeoutError, CircuitBreakerError } = require('guru-comms/ApiClient')
const Endpoint = require('guru-comms/Endpoint')
const { RateLimiter, RateLimitError } = require('guru-comms/security/RateLimiter')
const { InputValidator } = require('guru-comms/security/InputValidator')
const library = require('guru-comms')
const { probe } = require('./probe.js')
const addresses = JSON.parse(process.env.PROBE)

test('the forms of the original', () => {
  const classes = [GuruConnection, ApiClient, ApiError, TimeoutError, CircuitBreakerError, Endpoint, RateLimiter, RateLimitError, InputValidator]
  expect(classes.map((it) => it.name).join()).toBe('GuruConnection,ApiClient,ApiError,TimeoutError,CircuitBreakerError,Endpoint,RateLimiter,RateLimitError,InputValidator')
})

test('instanceof holds across subpaths', () => {
  expect(library.GuruConnection).toBe(GuruConnection)
  expect(GuruConnection.GuruConnection).toBe(GuruConnection)
  expect(library.Endpoint).toBe(Endpoint)
  const limiter = new RateLimiter({ limits: { api: { tokensPerSecond: 1, burstCapacity: 1 } } })
  limiter.check('a')
  expect(() => limiter.check('a')).toThrow(library.RateLimitError)
  expect(() => new InputValidator().validateString(1)).toThrow(library.ValidationError)
})

test.each(['policies', 'redis', 'server', 'storage/indexeddb', 'storage/sqlite', 'tabs', 'testing'])('%s', (subpath) => {
  expect(Object.keys(require('guru-comms/' + subpath)).length).toBeGreaterThan(0)
})

test('it works', async () => {
  const results = await probe(library, addresses)
  expect(results).toEqual(Object.fromEntries(Object.keys(results).map((job) => [job, true])))
}, 60_000)
`

const TYPESCRIPT = `declare const test: any, expect: any, process: any
import { ApiClient, ApiError } from 'guru-comms'
import { Endpoint } from 'guru-comms/Endpoint'
import { GuruConnection, type GuruConnectionOptions } from 'guru-comms/GuruConnection'
import { RateLimiter } from 'guru-comms/security/RateLimiter'

test('named imports', async () => {
  const options: GuruConnectionOptions = { url: 'ws://127.0.0.1:1', autoConnect: false }
  expect(new GuruConnection(options).connectionState).toBe('idle')
  expect([Endpoint, RateLimiter].map((it) => typeof it)).toEqual(['function', 'function'])
  const client = new ApiClient({ baseURL: JSON.parse(process.env.PROBE!).baseURL })
  await expect(client.get('/nothing')).rejects.toBeInstanceOf(ApiError)
  client.dispose()
})
`

describe.skipIf(!can)('the package', () => {
  let stranger: Stranger
  let server: ProbeServer

  beforeAll(async () => {
    server = await startProbeServer()
    stranger = new Stranger()
    const probe = readFileSync(join(import.meta.dirname, 'probe.mjs'), 'utf8')
    stranger.write(
      'plain/probe.js',
      `${probe.replace('export async', 'async')}\nmodule.exports = { probe }\n`,
    )
    stranger.write('plain/original.test.js', ORIGINAL)
    stranger.write('ts-jest/named.test.ts', TYPESCRIPT)
    stranger.write('babel/named.test.ts', TYPESCRIPT)
  })
  afterAll(async () => {
    stranger?.remove()
    await server?.close()
  })

  async function jest(file: string, node: string, folder: string, config: object): Promise<number> {
    stranger.write(`${folder}/jest.config.json`, JSON.stringify({ testEnvironment: 'node', ...config }))
    stranger.write(`${folder}/package.json`, '{}')
    const { baseURL, linesURL } = server
    const args = [`node_modules/${file}`, '--rootDir', folder, '--json', '--ci', '--no-cache']
    const PROBE = JSON.stringify({ baseURL, linesURL })
    const answer = await stranger.run(node, [...args, '-c', `${folder}/jest.config.json`], { PROBE })
    const { numPassedTests, numTotalTests } = JSON.parse(answer)
    expect(numPassedTests).toBe(numTotalTests)
    return numTotalTests
  }

  it.each(combinations)('works in %s on %s', async (_jest, _node, file, node) => {
    expect(await jest(file, node, 'plain', { transform: {} })).toBe(10)
  })

  it.each(Object.entries(jests))('%s with ts-jest', async (_, file) => {
    const tsconfig = {
      module: 'commonjs',
      moduleResolution: 'node10',
      target: 'es2022',
      lib: ['es2022', 'dom'],
      strict: true,
      esModuleInterop: true,
      types: [],
    }
    const options = { compiler: 'typescript59', tsconfig: { ...tsconfig, skipLibCheck: false } }
    const transform = { '\\.ts$': ['ts-jest', options] }
    expect(await jest(file, process.execPath, 'ts-jest', { transform })).toBe(1)
  })

  it('babel-jest', async () => {
    const presets = [['@babel/preset-env', { targets: { node: '22' } }], '@babel/preset-typescript']
    const transform = { '\\.ts$': ['babel-jest', { presets, configFile: false }] }
    expect(await jest(jests['Jest 30'], process.execPath, 'babel', { transform })).toBe(1)
  })
})
