// Real servers of Redis (or Valkey) for tests: one, a replica, a Sentinel or a cluster, on free ports of this machine.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'

/** The server's program, or `undefined`. */
export const REDIS_SERVER = ['redis-server', 'valkey-server'].find((name) => {
  try {
    return execFileSync(name, ['--version'], { encoding: 'utf8' }).includes('v=')
  } catch {
    return false
  }
})

/** Whether a server can be started here. Says in one line what is skipped when none can. */
export function canRunRedis(what: string): boolean {
  if (!REDIS_SERVER) console.warn(`skipped: ${what} (apt-get install redis-server)`)
  return REDIS_SERVER !== undefined
}

/** A port that was free a moment ago, and the one 10000 above it, which a cluster's nodes talk through. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = await portFreeNow(0)
    if (port < 55_000 && (await portFreeNow(port + 10_000).catch(() => 0))) return port
  }
  throw new Error('no free port')
}

function portFreeNow(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Lines of a configuration: `{ maxmemory: '2mb', appendonly: 'yes', user: ['bob on ...', 'eve on ...'] }`. */
export type RedisConfiguration = Readonly<Record<string, string | number | readonly string[]>>

export class RedisServer {
  readonly port: number
  readonly host = '127.0.0.1'
  readonly #folder: string
  readonly #mode: readonly string[]
  #child: ChildProcess | undefined
  #gone: Promise<unknown> = Promise.resolve()

  private constructor(port: number, folder: string, mode: readonly string[]) {
    this.port = port
    this.#folder = folder
    this.#mode = mode
  }

  /** Starts one; nothing is kept on disk unless the configuration says so. */
  static async start(
    configuration: RedisConfiguration = {},
    mode: readonly string[] = [],
  ): Promise<RedisServer> {
    const port = await freePort()
    const folder = mkdtempSync(join(tmpdir(), 'guru-redis-'))
    const lines = Object.entries({ save: '""', appendonly: 'no', ...configuration }).flatMap(
      ([name, value]) => (Array.isArray(value) ? value : [value]).map((each) => `${name} ${each}`),
    )
    writeFileSync(
      join(folder, 'redis.conf'),
      [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        'daemonize no',
        'enable-debug-command yes',
        ...lines,
      ].join('\n'),
    )
    const server = new RedisServer(port, folder, mode)
    await server.restart()
    return server
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it again on the same port, with the same configuration and what it had kept on disk. */
  async restart(): Promise<void> {
    const child = spawn(REDIS_SERVER as string, [join(this.#folder, 'redis.conf'), ...this.#mode], {
      stdio: 'ignore',
    })
    this.#child = child
    this.#gone = new Promise((resolve) => child.once('exit', resolve))
    for (let tries = 0; tries < 10_000; tries += 1) {
      if (child.exitCode !== null) throw new Error(`${REDIS_SERVER} ended with ${child.exitCode}`)
      if (await answers(this.port)) return
      await rest(10)
    }
    throw new Error(`${REDIS_SERVER} does not answer on port ${this.port}`)
  }

  /** As a crash would: nothing is said, nothing is saved. */
  kill(): Promise<unknown> {
    return this.#end('SIGKILL')
  }

  /** It stands still: connections stay and nothing is answered. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    this.thaw()
    await this.#end('SIGTERM')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** What redis-cli would print. Errors of the server are thrown. */
  command(...args: string[]): Promise<string> {
    return ask(this.port, args)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null) return
    child.kill(signal)
    const slow = setTimeout(() => child.kill('SIGKILL'), 5000)
    await this.#gone
    clearTimeout(slow)
  }
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  stop(): Promise<void>
}

const SLOTS = 16_384

/** Primaries only, that share the slots evenly; resolves when each of them says that the cluster is whole. */
export async function startCluster(size = 3, configuration: RedisConfiguration = {}): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: size }, () =>
      RedisServer.start({ 'cluster-enabled': 'yes', 'cluster-node-timeout': 2000, ...configuration }),
    ),
  )
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    const [first] = nodes as [RedisServer, ...RedisServer[]]
    for (const [index, node] of nodes.entries()) {
      const from = Math.ceil((index * SLOTS) / size)
      const to = Math.ceil(((index + 1) * SLOTS) / size) - 1
      await node.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to))
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
      if (index > 0) await node.command('CLUSTER', 'MEET', first.host, String(first.port))
    }
    for (const node of nodes) await whole(node, size)
  } catch (error) {
    await stop()
    throw error
  }
  return { nodes, stop }
}

async function whole(node: RedisServer, size: number): Promise<void> {
  for (let tries = 0; tries < 10_000; tries += 1) {
    const info = await node.command('CLUSTER', 'INFO')
    // What is published goes over the links between nodes: a message over one that is not there yet is lost.
    const peers = await node.command('CLUSTER', 'NODES')
    const isLinked = peers.split(' connected').length - 1 === size && !/handshake|noaddr/.test(peers)
    if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`) && isLinked) return
    await rest(20)
  }
  throw new Error('the cluster does not become whole')
}

/** A Sentinel that watches `primary` under the name `main`, alone: its word is enough. */
export function startSentinel(primary: RedisServer): Promise<RedisServer> {
  return RedisServer.start(
    {
      sentinel: [
        `monitor main ${primary.host} ${primary.port} 1`,
        'down-after-milliseconds main 500',
        'failover-timeout main 2000',
      ],
    },
    ['--sentinel'],
  )
}

async function answers(port: number): Promise<boolean> {
  try {
    const answer = await ask(port, ['PING'])
    return answer === 'PONG'
  } catch (error) {
    // One that asks for a password is there, too.
    return /^(?:NOAUTH|NOPERM)/.test((error as Error).message)
  }
}

/** One command over a connection of its own: the few kinds of answers that are needed here, as text. */
function ask(port: number, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`)
    socket.setEncoding('utf8')
    socket.on('error', reject)
    socket.on('connect', () => socket.write(`*${args.length}\r\n${parts.join('')}`))
    socket.on('data', (chunk) => {
      text += chunk
      const [, kind, first = ''] = /^([-+:$*])([^\r]*)\r\n/.exec(text) ?? []
      if (!kind) return
      const body = text.slice(text.indexOf('\r\n') + 2)
      if (kind === '$' && Number(first) >= 0 && Buffer.byteLength(body) < Number(first) + 2) return
      socket.destroy()
      if (kind === '-') reject(new Error(first))
      else resolve(kind === '$' || kind === '*' ? body.replace(/\r\n$/, '') : first)
    })
    // One that is just starting may take a connection and never answer on it.
    socket.setTimeout(5000, () => socket.destroy())
    socket.on('close', () => reject(new Error(`port ${port} was closed`)))
  })
}
