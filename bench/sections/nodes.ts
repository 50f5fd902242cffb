// Sessions over several nodes on one engine: what it costs to resume on another one, what ten thousand sessions weigh, what they ask
// of the engine.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, start } from '../harness/child.ts'
import { type Summary, summarize } from '../harness/statistics.ts'
import { curveChart } from '../report/charts.ts'
import { bytes, figure, ratio, table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

/** All nodes, and the engine, with so many sessions connected. */
interface Weight {
  readonly sessions: number
  readonly nodesRss: number
  readonly engineBytes: number
  /** Commands a second that the engine runs while nothing is said, and its share of one processor. */
  readonly idleCommands: number
  readonly idleCpu: number
}

interface Load {
  readonly messages: number
  /** Of the engine, for each message. */
  readonly cpuMicros: number
  readonly commands: number
}

export interface NodesData {
  readonly engine: string
  /** Milliseconds, of a client that comes back: to the node that has its session, or to another. */
  readonly resumes: Record<'same' | 'other' | 'sameFull' | 'otherFull', Summary>
  readonly weights: readonly Weight[]
  readonly loads: Record<'up' | 'down', Load>
}

const NODES = 3
/** Messages that are unacknowledged at a resume, and their bytes. */
const KEPT = 1000
/** Resumes that are not counted. */
const WARM_UP = 40
const SIZE = 1024

/** An engine of its own, that writes to the disk each second. */
class Engine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'guru-bench-'))
  readonly port: number
  readonly #child: ReturnType<typeof spawn>

  constructor(port: number) {
    this.port = port
    const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', this.#folder, '--save', '']
    this.#child = spawn('redis-server', [...options, '--appendonly', 'yes', '--appendfsync', 'everysec'], {
      stdio: 'ignore',
    })
  }

  async ready(): Promise<this> {
    for (let tries = 0; tries < 500; tries += 1) {
      if ((await this.ask('PING').catch(() => '')).startsWith('+PONG')) return this
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error('redis-server does not answer')
  }

  ask(...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1')
      let text = ''
      socket.setEncoding('latin1')
      socket.on('error', reject)
      socket.on('close', () => resolve(text))
      socket.on('data', (part) => {
        text += part
      })
      socket.write(`${args.join(' ')}\r\nQUIT\r\n`)
    })
  }

  async info(name: string): Promise<number> {
    const text = await this.ask('INFO', 'everything')
    return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  }

  async cpuSeconds(): Promise<number> {
    return (await this.info('used_cpu_sys')) + (await this.info('used_cpu_user'))
  }

  async end(): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

interface Fleet {
  readonly engine: Engine
  readonly nodes: readonly Child[]
  readonly ports: readonly number[]
  readonly client: Child
  end(): Promise<void>
}

async function startFleet(): Promise<Fleet> {
  const engine = await new Engine(await freePort()).ready()
  const execArgv = ['--expose-gc']
  const env = { ENGINE: `${engine.port}` }
  const nodes = await Promise.all(
    Array.from({ length: NODES }, () =>
      start(new URL('../workers/nodeServer.ts', import.meta.url), { execArgv, env }),
    ),
  )
  const client = await start(new URL('../workers/nodeClient.ts', import.meta.url), { execArgv })
  const ports = await Promise.all(nodes.map((node) => node.call<number>('listen')))
  return {
    engine,
    nodes,
    ports,
    client,
    async end() {
      await Promise.all([client, ...nodes].map((child) => child.stop()))
      await engine.end()
    },
  }
}

async function measureResumes(
  { nodes, ports, client }: Fleet,
  rounds: number,
): Promise<NodesData['resumes']> {
  const samples = { same: [], other: [], sameFull: [], otherFull: [] } as Record<string, number[]>
  for (const full of [false, true]) {
    const session = await client.call<{ sid: string; key: string }>('begin', { port: ports[0] })
    let at = 0
    let rx = 0
    let epoch = 0
    const rest = full ? Math.ceil(rounds / 16) : rounds
    // The first of each warm the processes up. In turns: the same node, then another.
    for (let round = full ? -4 : -WARM_UP; round < rest * 2; round += 1) {
      const moves = round % 2 !== 0
      const count = full ? KEPT : 0
      if (count > 0) {
        await nodes[at]?.call('fill', { sid: session.sid, count, size: SIZE })
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
      if (moves) at = (at + 1) % NODES
      epoch += 1
      const { openMs, allMs } = await client.call<{ openMs: number; allMs: number }>('resume', {
        ...session,
        port: ports[at],
        epoch,
        rx,
        count,
      })
      rx += count
      if (round >= 0) samples[`${moves ? 'other' : 'same'}${full ? 'Full' : ''}`]?.push(full ? allMs : openMs)
    }
  }
  const entries = Object.entries(samples).map(([name, values]) => [name, summarize(values)])
  return Object.fromEntries(entries) as NodesData['resumes']
}

/** A session of which nothing is written is kept by a script, once in so long with the default of `keep`: none of them is missed. */
const KEEPING_MS = 45_000

async function measureWeight({ engine, nodes }: Fleet): Promise<Weight> {
  const weights = await Promise.all(
    nodes.map((node) => node.call<{ rss: number; sessions: number }>('weigh')),
  )
  const sum = (values: readonly number[]) => values.reduce((one, other) => one + other, 0)
  const [commands, cpu, began] = [
    await engine.info('total_commands_processed'),
    await engine.cpuSeconds(),
    performance.now(),
  ]
  await new Promise((resolve) => setTimeout(resolve, KEEPING_MS))
  const seconds = (performance.now() - began) / 1000
  return {
    sessions: sum(weights.map(({ sessions }) => sessions)),
    nodesRss: sum(weights.map(({ rss }) => rss)),
    engineBytes: await engine.info('used_memory'),
    // Those that ask for these figures are not counted.
    idleCommands: ((await engine.info('total_commands_processed')) - commands - 6) / seconds,
    idleCpu: ((await engine.cpuSeconds()) - cpu) / seconds,
  }
}

async function measureLoads({ engine, nodes, client }: Fleet, sessions: number): Promise<NodesData['loads']> {
  const of = async (messages: number, run: () => Promise<unknown>): Promise<Load> => {
    const [commands, cpu] = [await engine.info('total_commands_processed'), await engine.cpuSeconds()]
    await run()
    return {
      messages,
      cpuMicros: (((await engine.cpuSeconds()) - cpu) * 1e6) / messages,
      commands: ((await engine.info('total_commands_processed')) - commands) / messages,
    }
  }
  const up = await of(sessions, () => client.call('sayAll', { size: 200, atOnce: 200 }))
  const down = await of(sessions, async () => {
    await Promise.all(nodes.map((node) => node.call('push', { size: 200 })))
    for (const node of nodes)
      while ((await node.call<number>('queued')) > 0) await new Promise((resolve) => setTimeout(resolve, 50))
    // What is acknowledged is forgotten a second later.
    await new Promise((resolve) => setTimeout(resolve, 1500))
  })
  return { up, down }
}

async function measure({ quick, log }: Context): Promise<NodesData> {
  log('resumes on the same node and on another')
  let fleet = await startFleet()
  const resumes = await measureResumes(fleet, quick ? 100 : 400)
  await fleet.end()
  log('sessions over three nodes')
  fleet = await startFleet()
  const weights: Weight[] = []
  let had = 0
  for (const count of quick ? [100, 1000] : [100, 1000, 3000, 10_000]) {
    await fleet.client.call('openMany', { ports: fleet.ports, count: count - had })
    had = count
    weights.push(await measureWeight(fleet))
  }
  log('what a message asks of the engine')
  const loads = await measureLoads(fleet, had)
  const engine = /redis_version:([\d.]+)/.exec(await fleet.engine.ask('INFO', 'server'))?.[1] ?? ''
  await fleet.end()
  return { engine: `Redis ${engine}, appendfsync everysec`, resumes, weights, loads }
}

function gates({ resumes }: NodesData): Gate[] {
  const gate = (figure: string, other: Summary, same: Summary): Gate => ({
    figure,
    bound: 'max',
    must: 2,
    aim: 1.5,
    measured: other.median / same.median,
    unit: 'x',
  })
  return [
    gate('a resume on another node, against the same', resumes.other, resumes.same),
    gate(
      'a resume on another node with 1,000 unacknowledged messages, against the same',
      resumes.otherFull,
      resumes.sameFull,
    ),
  ]
}

function tell(data: NodesData): Telling {
  const { engine, resumes, weights, loads } = data
  const row = (name: string, same: Summary, other: Summary) => [
    name,
    `${figure(same.median)} ms`,
    `${figure(other.median)} ms`,
    ratio(other.median / same.median),
  ]
  const parts = [
    `Three \`SessionServer\`s, each a process of its own, on one engine (${engine}), all on one machine.`,
    'From the beginning of a new connection, on the node that has the session and on another, which has to ask for it first (medians):',
    table(
      ['until', 'same node', 'another', ''],
      [
        row('the session goes on', resumes.same, resumes.other),
        row('1,000 kept messages of 1 KB have come', resumes.sameFull, resumes.otherFull),
      ],
    ),
    'Sessions that are connected and say nothing; nodes together:',
    table(
      [
        'sessions',
        'memory of the nodes',
        'memory of the engine',
        'commands a second',
        'share of a processor',
      ],
      weights.map(({ sessions, nodesRss, engineBytes, idleCommands, idleCpu }) => [
        `${sessions}`,
        bytes(nodesRss),
        bytes(engineBytes),
        figure(Math.max(0, idleCommands)),
        `${figure(idleCpu * 100)} %`,
      ]),
    ),
    `A message of 200 bytes asks of the engine: from a client, handled and acknowledged, ${figure(loads.up.commands)} commands and ` +
      `${figure(loads.up.cpuMicros)} µs of its processor; to a client, ${figure(loads.down.commands)} commands and ${figure(loads.down.cpuMicros)} µs. ` +
      'Commands within scripts are counted, too.',
  ]
  const points = (pick: (weight: Weight) => number) =>
    weights.map((weight): [number, number] => [weight.sessions, Math.max(1, pick(weight))])
  return {
    markdown: parts.join('\n\n'),
    charts: {
      'nodes-memory': curveChart({
        title: 'Memory of sessions over three nodes',
        subtitle: 'connected, nothing kept; the nodes together, and the engine',
        series: [
          { label: 'three nodes', points: points(({ nodesRss }) => nodesRss) },
          { label: 'engine', points: points(({ engineBytes }) => engineBytes) },
        ],
        formatX: (value) => value.toLocaleString('en'),
        formatY: (value) => `${figure(value / 2 ** 20)} MB`,
      }),
      'nodes-load': curveChart({
        title: 'What idle sessions ask of the engine',
        subtitle: 'commands a second, those within scripts included; three nodes together',
        series: [{ label: 'commands/s', points: points(({ idleCommands }) => idleCommands) }],
        formatX: (value) => value.toLocaleString('en'),
        formatY: (value) => value.toLocaleString('en'),
      }),
    },
    gates: gates(data),
  }
}

export const nodes: Section<NodesData> = { name: 'nodes', title: 'Sessions on several nodes', measure, tell }
