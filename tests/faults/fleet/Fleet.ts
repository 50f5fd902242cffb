// Server nodes behind haproxy or nginx, their engine and a crowd of clients, each a process of its own: the nodes, the balancer and its
// configuration are those of examples/scale-out.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { freePort, RedisServer } from '../../support/redisServers.ts'
import { startProxy, type TcpProxy } from '../tcpProxy.ts'
import { judge, type Verdict } from './judge.ts'

const EXAMPLE = join(import.meta.dirname, '../../../examples/scale-out')

/** The balancers that are here, by their names. */
export const BALANCERS: Readonly<Record<'haproxy' | 'nginx', string | undefined>> = {
  haproxy: there('/usr/sbin/haproxy', 'haproxy'),
  nginx: there('/usr/sbin/nginx', 'nginx'),
}

function there(...paths: readonly string[]): string | undefined {
  return paths.find((path) => {
    try {
      execFileSync(path, ['-v'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

export interface FleetOptions {
  readonly clients: number
  /** Milliseconds between two messages of one client, and between two to it. */
  readonly everyMs: number
  readonly leaseMs: number
  readonly drainMs: number
  readonly balancer: keyof typeof BALANCERS
}

interface Running {
  readonly child: ChildProcess
  readonly gone: Promise<unknown>
  output: string
}

export class Fleet {
  readonly #options: FleetOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'guru-fleet-'))
  readonly #report = join(this.#folder, 'report')
  readonly #ports: number[] = []
  readonly #nodes: (Running | undefined)[] = []
  /** From each node to the engine. */
  readonly #lines: TcpProxy[] = []
  readonly #cut = new Set<number>()
  #engine!: RedisServer
  #balancer: Running | undefined
  #clients: Running | undefined

  private constructor(options: FleetOptions) {
    this.#options = options
    writeFileSync(this.#report, '')
  }

  /** Resolves when all clients have been started. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options)
    try {
      await fleet.#start()
    } catch (error) {
      await fleet.end()
      throw error
    }
    return fleet
  }

  async #start(): Promise<void> {
    this.#engine = await RedisServer.start({
      appendonly: 'yes',
      appendfsync: 'always',
      'maxmemory-policy': 'noeviction',
    })
    for (let node = 0; node < 3; node += 1) {
      this.#ports.push(await freePort())
      const line = await startProxy(this.#engine.port, (connection) => {
        if (this.#cut.has(node)) connection.swallow('up', 'down')
      })
      this.#lines.push(line)
    }
    await Promise.all([0, 1, 2].map((node) => this.startNode(node)))
    const listen = await freePort()
    const nodes = Object.fromEntries(
      this.#ports.map((port, index) => [`NODE${index + 1}`, `127.0.0.1:${port}`]),
    )
    this.#balancer = this.#startBalancer({ LISTEN: `127.0.0.1:${listen}`, ...nodes })
    await this.#healthy(this.#balancer, listen)
    const { clients, everyMs } = this.#options
    this.#clients = this.#spawn(process.execPath, [join(import.meta.dirname, 'clients.mjs')], {
      CLIENTS: `${clients}`,
      URL: `ws://127.0.0.1:${listen}/ws`,
      EVERY_MS: `${everyMs}`,
      HEARTBEAT: JSON.stringify({ pingInterval: 3000, pongTimeout: 3000, connectTimeout: 10_000 }),
    })
    await this.#says(this.#clients, 'started')
  }

  get engine(): RedisServer {
    return this.#engine
  }

  /** Starts a node. Resolves when it is healthy. */
  async startNode(node: number): Promise<void> {
    const { everyMs, leaseMs, drainMs } = this.#options
    this.#nodes[node] = this.#spawn(process.execPath, ['--no-warnings', join(EXAMPLE, 'node.mjs')], {
      HOST: '127.0.0.1',
      PORT: `${this.#ports[node]}`,
      REDIS_URL: `redis://127.0.0.1:${(this.#lines[node] as TcpProxy).port}`,
      APP: join(import.meta.dirname, 'app.mjs'),
      LEASE_MS: `${leaseMs}`,
      DRAIN_MS: `${drainMs}`,
      NOTICE_MS: '1600',
      MAX_SESSIONS_PER_ADDRESS: '100000',
      NODE: `n${node}`,
      EVERY_MS: `${everyMs}`,
    })
    await this.#healthy(this.#nodes[node] as Running, this.#ports[node] as number)
  }

  /** As a crash would, and starts it anew. */
  async kill(node: number): Promise<void> {
    const running = this.#nodes[node] as Running
    running.child.kill('SIGKILL')
    await running.gone
    appendFileSync(this.#report, `died n${node}.${running.child.pid}\n`)
    await this.startNode(node)
  }

  async freeze(node: number, ms: number): Promise<void> {
    const running = this.#nodes[node] as Running
    running.child.kill('SIGSTOP')
    await rest(ms)
    running.child.kill('SIGCONT')
    await this.#healthy(running, this.#ports[node] as number)
  }

  /** Cuts a node off from the engine, not from its clients. */
  async partition(node: number, ms: number): Promise<void> {
    const line = this.#lines[node] as TcpProxy
    this.#cut.add(node)
    for (const connection of line.connections) connection.swallow('up', 'down')
    await rest(ms)
    this.#cut.delete(node)
    // What was tried meanwhile has been swallowed, too: the node connects anew.
    for (const connection of line.connections) connection.cutAfter('down', 0)
    await this.#healthy(this.#nodes[node] as Running, this.#ports[node] as number)
  }

  /** Replaces it, as a new version would be rolled out. */
  async replace(node: number): Promise<void> {
    const running = this.#nodes[node] as Running
    running.child.kill('SIGTERM')
    await running.gone
    if (running.child.exitCode !== 0) throw new Error(`a node left with ${running.child.exitCode}`)
    await this.startNode(node)
  }

  /** Nobody sends any more; resolves when all that was sent has been delivered. */
  async finish(): Promise<Verdict> {
    for (const node of this.#nodes) node?.child.kill('SIGUSR2')
    const clients = this.#clients as Running
    clients.child.stdin?.write('stop\n')
    await this.#says(clients, 'finished')
    while ((await this.#sum('guru_sessions_queued_bytes')) > 0) await rest(100)
    return judge(this.#report)
  }

  async end(): Promise<void> {
    const all = [this.#clients, this.#balancer, ...this.#nodes].filter((one) => one !== undefined)
    for (const { child } of all) child.kill('SIGKILL')
    await Promise.all(all.map(({ gone }) => gone))
    await Promise.all(this.#lines.map((line) => line.close()))
    await this.#engine?.stop()
    if (!process.env.GURU_KEEP) rmSync(this.#folder, { recursive: true, force: true })
    else console.log(this.#report)
  }

  #startBalancer(addresses: Record<string, string>): Running {
    const { balancer } = this.#options
    const program = BALANCERS[balancer] as string
    if (balancer === 'haproxy')
      return this.#spawn(program, ['-db', '-f', join(EXAMPLE, 'haproxy.cfg')], addresses)
    const text = readFileSync(join(EXAMPLE, 'nginx.conf'), 'utf8')
    const filled = Object.entries(addresses).reduce(
      (sum, [name, address]) => sum.replaceAll(`\${${name}}`, address),
      text,
    )
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${name};`,
    )
    writeFileSync(join(this.#folder, 'nginx.conf'), filled.replace('http {', `http {\n${paths.join('\n')}`))
    const options = `daemon off; pid nginx.pid; error_log error.log;`
    return this.#spawn(
      program,
      ['-p', this.#folder, '-c', 'nginx.conf', '-e', 'error.log', '-g', options],
      {},
    )
  }

  async #sum(metric: string): Promise<number> {
    const texts = await Promise.all(
      this.#ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    )
    return texts.reduce((sum, text) => sum + Number(new RegExp(`^${metric} (\\S+)$`, 'm').exec(text)?.[1]), 0)
  }

  async #healthy({ child }: Running, port: number): Promise<void> {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`a process has ended with ${child.exitCode}`)
      const answer = await fetch(`http://127.0.0.1:${port}/health`, {
        signal: AbortSignal.timeout(5000),
      }).catch(() => undefined)
      if (answer?.status === 200) return
      await rest(50)
    }
  }

  async #says(running: Running, word: string): Promise<void> {
    while (!running.output.includes(word)) {
      if (running.child.exitCode !== null) throw new Error(`a process has ended instead of saying "${word}"`)
      await rest(20)
    }
  }

  #spawn(program: string, args: readonly string[], env: Record<string, string>): Running {
    const child = spawn(program, args, {
      env: { ...process.env, REPORT: this.#report, ...env },
      stdio: ['pipe', 'pipe', process.env.GURU_KEEP ? 'inherit' : 'ignore'],
    })
    child.stdin?.on('error', () => {})
    const running: Running = { child, gone: once(child, 'exit'), output: '' }
    child.stdout?.on('data', (text) => {
      running.output = (running.output + text).slice(-1000)
    })
    return running
  }
}
