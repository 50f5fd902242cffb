// A session through nginx: its read timeout, and its reloads in mid-traffic.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { SessionRun, until } from './sessionRun.ts'

const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path))
if (!NGINX) console.warn('skipped: sessions through nginx (apt-get install nginx)')

const READ_TIMEOUT_S = 5
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const configuration = (port: number, target: number) => `
daemon off;
pid nginx.pid;
error_log error.log;
worker_processes 1;
# Workers of before a reload end with the connections that they carry, and after this with or without.
worker_shutdown_timeout 300ms;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${target};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $http_host;
      proxy_read_timeout ${READ_TIMEOUT_S}s;
    }
  }
}
`

/** In front of `target`; its files are in a folder of its own. */
async function startNginx(target: number): Promise<{ port: number; reload: () => Promise<unknown> }> {
  const folder = mkdtempSync(join(tmpdir(), 'guru-nginx-'))
  const file = join(folder, 'nginx.conf')
  const port = await freePort()
  writeFileSync(file, configuration(port, target))
  const given = ['-p', folder, '-c', file, '-e', join(folder, 'error.log')]
  const child: ChildProcess = spawn(NGINX as string, given, { stdio: ['ignore', 'ignore', 'inherit'] })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  cleanups.push(async () => {
    child.kill('SIGTERM')
    await gone
    rmSync(folder, { recursive: true, force: true })
  })
  await until(() => existsSync(join(folder, 'nginx.pid')) || child.exitCode !== null)
  expect(child.exitCode, 'nginx runs').toBeNull()
  return { port, reload: () => promisify(execFile)(NGINX as string, [...given, '-s', 'reload']) }
}

/** @param client options of the connection @param every milliseconds between bursts, of both sides */
async function start(client: object, server: object, every: number) {
  const run = new SessionRun({ durable: false, client, server, every })
  cleanups.push(() => run.end())
  const { port } = await run.startServer()
  const nginx = await startNginx(port)
  await run.startClient(nginx.port)
  await until(() => run.handled('client') > 0)
  return { run, nginx }
}

async function judge(run: SessionRun): Promise<void> {
  await run.finish()
  expect(run.judge()).toEqual([])
  expect([...run.lost('client'), ...run.lost('server')]).toEqual([])
}

describe.skipIf(!NGINX)('a session through nginx', () => {
  /** So seldom that nginx would hear nothing else for longer than it waits. */
  const SELDOM = 1000 * (READ_TIMEOUT_S + 2)

  it(`an idle line lives longer than proxy_read_timeout (${READ_TIMEOUT_S} s), by its heartbeat`, async () => {
    const { run } = await start({ pingInterval: 1000 }, {}, SELDOM)
    let longestMs = 0
    let lookedAt = performance.now()
    for (let looks = 0; looks < 5 * (2 * READ_TIMEOUT_S + 3); looks += 1) {
      await rest(200)
      longestMs = Math.max(longestMs, performance.now() - lookedAt)
      lookedAt = performance.now()
    }
    // A machine that stands still for longer than that proves nothing.
    if (longestMs < 1500) expect(run.count('client', 'close')).toBe(0)
    await judge(run)
  })

  it('with pings too seldom for that nginx cuts it, and the session goes on', async () => {
    const { run } = await start({ pingInterval: 3_600_000 }, { pingInterval: 3_600_000 }, SELDOM)
    await until(() => run.count('client', 'open') >= 3)
    await judge(run)
    expect(run.count('client', 'close')).toBeGreaterThanOrEqual(2)
  })

  it('reloaded in mid-traffic, again and again: nothing lost, doubled or out of order', async () => {
    const { run, nginx } = await start({}, {}, 10)
    for (let reload = 0; reload < 5; reload += 1) {
      const [opens, client, server] = [
        run.count('client', 'open'),
        run.handled('client'),
        run.handled('server'),
      ]
      await nginx.reload()
      await until(() => run.count('client', 'open') > opens)
      await until(() => run.handled('client') > client + 20 && run.handled('server') > server + 20)
    }
    await judge(run)
  })
})
