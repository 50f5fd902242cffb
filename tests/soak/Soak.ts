// Many clients, one server and the weather between them: lines are cut after some bytes, or swallow what they carry; the server is
// stopped for seconds, and killed. Half of the clients have a session: nothing may be lost, doubled or out of order. The others have
// a plain line: nothing may be doubled or out of order, and all of them have to be back in the end.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as rest } from 'node:timers/promises'
import { GuruConnection } from 'guru-comms'
import { type Carried, startProxy, type TcpProxy } from '../faults/tcpProxy.ts'
import { freePort } from '../support/redisServers.ts'

export interface SoakOptions {
  readonly clients: number
  readonly seconds: number
  readonly random: () => number
  readonly log: (line: string) => void
}

export interface SoakResult {
  readonly violations: readonly string[]
  readonly faults: Readonly<Record<string, number>>
  readonly sessions: { readonly sent: number; readonly handled: number; readonly answers: number }
  readonly plain: { readonly sent: number; readonly handled: number; readonly reconnections: number }
}

/** Milliseconds between two messages of a client, on average. */
const EVERY_MS = 50
/** A client with so many on the way waits. */
const MOST = 200
/** What a client notices a dead line by; quick, so that the weather can change often. */
const HEARTBEAT = { pingInterval: 1000, pongTimeout: 1500, connectTimeout: 3000, reconnectDelay: 200 }
/** All has to have arrived so long after the last fault. */
const FINISH_MS = 120_000

/** One client: sends counters, and sees to it that the answers rise. */
class Client {
  readonly connection: GuruConnection
  readonly id: number
  sent = 0
  delivered = 0
  answers = new Set<number>()
  lastAnswer = 0
  opened = 0
  readonly #violations: string[]

  constructor(id: number, port: number, session: boolean, violations: string[]) {
    this.id = id
    this.#violations = violations
    this.connection = new GuruConnection({
      url: `ws://127.0.0.1:${port}/ws`,
      session: session ? 'required' : 'off',
      ...HEARTBEAT,
    })
    this.connection.handle((message) => this.#answered((message as { re: number }).re))
    this.connection.on('open', () => {
      this.opened += 1
    })
    if (!session) return
    this.connection.on('sessionLost', ({ reason }) => this.#wrong(`lost its session: ${reason}`))
    this.connection.on('dropped', ({ reason }) => this.#wrong(`a message was dropped: ${reason}`))
    this.connection.on('max_reconnect_attempts', () => this.#wrong('gave up'))
    this.connection.on('error', (error) => {
      const { code } = error as { code?: string }
      // Lines break here, and are noticed to be dead.
      if (code !== 'CONNECTION' && code !== 'TIMEOUT') this.#wrong(`${code}: ${error.message}`)
    })
  }

  send(): void {
    const { queuedMessages, unacknowledgedMessages } = this.connection.getStats()
    if (queuedMessages + unacknowledgedMessages >= MOST) return
    this.sent += 1
    const receipt = this.connection.send({ client: this.id, n: this.sent })
    receipt.delivered.then(
      () => {
        this.delivered += 1
      },
      () => {},
    )
  }

  #answered(n: number): void {
    if (n <= this.lastAnswer) this.#wrong(`answer ${n} came after ${this.lastAnswer}`)
    this.lastAnswer = n
    this.answers.add(n)
  }

  #wrong(what: string): void {
    this.#violations.push(`client ${this.id}: ${what}`)
  }
}

class Server {
  readonly #args: string[]
  #child: ChildProcess | undefined

  constructor(file: string, sessionPort: number, plainPort: number) {
    this.#args = [join(import.meta.dirname, 'server.mjs'), file, `${sessionPort}`, `${plainPort}`]
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ['--no-warnings', ...this.#args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    const ended = once(child, 'exit').then(() => 'ended')
    if ((await Promise.race([once(child.stdout, 'data'), ended])) === 'ended')
      throw new Error('the server did not start')
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
}

export async function soak({ clients: count, seconds, random, log }: SoakOptions): Promise<SoakResult> {
  const folder = mkdtempSync(join(tmpdir(), 'guru-soak-'))
  const file = join(folder, 'soak.db')
  const violations: string[] = []
  const onUnhandled = (error: unknown) => void violations.push(`an unhandled rejection: ${error}`)
  process.on('unhandledRejection', onUnhandled)
  const ports = [await freePort(), await freePort()] as const
  const server = new Server(file, ...ports)
  const proxies: TcpProxy[] = []
  const clients: Client[] = []
  let timer: NodeJS.Timeout | undefined
  try {
    await server.start()
    const weather: Carried[] = []
    for (const port of ports) proxies.push(await startProxy(port, (connection) => weather.push(connection)))
    for (let id = 0; id < count; id += 1) {
      const session = id % 2 === 0
      const { port } = proxies[session ? 0 : 1] as TcpProxy
      clients.push(new Client(id, port, session, violations))
    }
    timer = setInterval(() => {
      for (const client of clients) if (random() < 0.5) client.send()
    }, EVERY_MS / 2)
    const faults = await storm({ seconds, random, log, server, weather, clients })
    clearInterval(timer)
    const sessions = clients.filter(({ id }) => id % 2 === 0)
    const plain = clients.filter(({ id }) => id % 2 === 1)
    await calm(sessions, plain, violations)
    const saw = read(file)
    const handled = judge(clients, saw, violations)
    return {
      violations,
      faults,
      sessions: { sent: sum(sessions, 'sent'), handled: handled.sessions, answers: handled.answers },
      plain: {
        sent: sum(plain, 'sent'),
        handled: handled.plain,
        reconnections: sum(plain, 'opened') - plain.length,
      },
    }
  } finally {
    clearInterval(timer)
    for (const { connection } of clients) connection.dispose()
    await server.kill()
    for (const proxy of proxies) await proxy.close()
    process.off('unhandledRejection', onUnhandled)
    rmSync(folder, { recursive: true, force: true })
  }
}

const sum = (clients: readonly Client[], what: 'sent' | 'opened' | 'delivered') =>
  clients.reduce((total, client) => total + client[what], 0)

interface Storm extends Pick<SoakOptions, 'seconds' | 'random' | 'log'> {
  readonly server: Server
  readonly weather: Carried[]
  readonly clients: readonly Client[]
}

/** Faults until the time is over. Returns how many of which kind. */
async function storm({ seconds, random, log, server, weather, clients }: Storm) {
  const faults = { cut: 0, swallowed: 0, stopped: 0, killed: 0 }
  const end = performance.now() + seconds * 1000
  let reported = performance.now()
  let quietUntil = performance.now() + 2000
  while (performance.now() < end) {
    await rest(50 + 250 * random())
    // The latest connections are those that are in use.
    const at = Math.max(0, weather.length - 1 - Math.floor(random() * clients.length * 1.5))
    const line = weather[at]
    const what = random()
    if (what < 0.6 && line) {
      const direction = random() < 0.5 ? 'up' : 'down'
      line.cutAfter(direction, line.bytes[direction] + Math.floor(random() * 2000))
      faults.cut += 1
    } else if (what < 0.9 && line) {
      const directions = [['up'], ['down'], ['up', 'down']] as const
      line.swallow(...(directions[Math.floor(random() * 3)] ?? ['up']))
      faults.swallowed += 1
    } else if (performance.now() > quietUntil) {
      if (random() < 0.5) {
        server.signal('SIGSTOP')
        await rest(500 + 2500 * random())
        server.signal('SIGCONT')
        faults.stopped += 1
      } else {
        await server.kill()
        await rest(1000 * random())
        await server.start()
        faults.killed += 1
      }
      // Lines come back in between.
      quietUntil = performance.now() + 5000
    }
    if (performance.now() - reported > 30_000) {
      reported = performance.now()
      const { heapUsed, rss } = process.memoryUsage()
      const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`
      log(
        `${sum(clients, 'sent')} sent, ${sum(clients, 'delivered')} delivered, ${JSON.stringify(faults)}, heap ${megabytes(heapUsed)}, rss ${megabytes(rss)}`,
      )
    }
  }
  return faults
}

/** Nobody breaks anything any more: everybody has to be back, and all of a session has to arrive. */
async function calm(
  sessions: readonly Client[],
  plain: readonly Client[],
  violations: string[],
): Promise<void> {
  const until = performance.now() + FINISH_MS
  const open = () => [...sessions, ...plain].every(({ connection }) => connection.connected)
  const arrived = () => sessions.every(({ sent, delivered }) => sent === delivered)
  const answered = () => plain.every(({ sent, lastAnswer }) => lastAnswer === sent)
  while (!open() && performance.now() < until) await rest(100)
  // A line that swallows is not noticed before somebody says something.
  while (!(arrived() && answered() && open()) && performance.now() < until) {
    for (const client of plain)
      if (client.connection.connected && client.lastAnswer < client.sent) client.send()
    await rest(500)
  }
  // What the server answered in the end is still on its way.
  await rest(1000)
  if (!open()) violations.push('not all clients are back')
  if (!answered()) violations.push('a plain line is open and says nothing')
  for (const { id, sent, delivered } of sessions)
    if (sent !== delivered) violations.push(`client ${id}: ${sent} sent, ${delivered} delivered`)
}

interface Row {
  readonly client: number
  readonly n: number
}

/** What the server wrote down, all its lives together. */
function read(file: string) {
  const database = new DatabaseSync(file, { readOnly: true })
  const rows = (sql: string) => database.prepare(sql).all() as unknown as Row[]
  const saw = {
    handled: rows('SELECT client, n FROM handled ORDER BY place'),
    plain: rows('SELECT client, n FROM plain ORDER BY place'),
    answered: rows('SELECT client, n FROM answered'),
    faults: database
      .prepare('SELECT what FROM fault')
      .all()
      .map(({ what }) => String(what)),
  }
  database.close()
  return saw
}

function judge(clients: readonly Client[], saw: ReturnType<typeof read>, violations: string[]) {
  for (const what of saw.faults) violations.push(`the server: ${what}`)
  const latest = new Map<number, number>()
  const follow = (rows: readonly Row[], fits: (n: number, before: number) => boolean, what: string) => {
    for (const { client, n } of rows) {
      const before = latest.get(client) ?? 0
      if (!fits(n, before)) violations.push(`client ${client}: ${n} was ${what} after ${before}`)
      latest.set(client, n)
    }
  }
  follow(saw.handled, (n, before) => n === before + 1, 'handled')
  for (const { id, sent } of clients)
    if (id % 2 === 0 && latest.get(id) !== sent)
      violations.push(`client ${id}: ${sent} sent, handled up to ${latest.get(id)}`)
  follow(saw.plain, (n, before) => n > before, 'received')
  for (const { client, n } of saw.answered)
    if (!clients[client]?.answers.has(n)) violations.push(`client ${client}: the answer to ${n} is lost`)
  return { sessions: saw.handled.length, plain: saw.plain.length, answers: saw.answered.length }
}
