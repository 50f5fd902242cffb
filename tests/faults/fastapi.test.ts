// Our client and a server that somebody wrote from PROTOCOL.md alone, in Python, over a line that is cut at any byte.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { GuruConnection } from 'guru-comms'
import { afterEach, describe, expect, it } from 'vitest'
import { canRunFastApi, PYTHON } from './python.ts'

const COUNT = 500
const CUTS = 25

const canRun = canRunFastApi('the FastAPI server')

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Chance that can be repeated: a linear congruential generator (the constants of Numerical Recipes). */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Waits until `holds` does; the test's own timeout is the limit. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function startFastApi(): Promise<{ port: number; child: ChildProcess }> {
  const main = join(import.meta.dirname, '../../examples/fastapi/main.py')
  const child = spawn(PYTHON, [main, '--port', '0', '--max-messages', '64', '--drain', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanups.push(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { port: Number(line.split(':').at(-1)), child }
}

/** Carries bytes to `target` and back; cuts the first `CUTS` connections after some bytes in either direction. */
async function startCutter(
  target: number,
  random: () => number,
): Promise<{ port: number; cuts: () => number }> {
  let cuts = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const backend = connectTcp(target, '127.0.0.1')
    const both = [client, backend]
    let done = false
    const cut = () => {
      for (const socket of both) socket.destroy()
    }
    const carry = (from: Socket, to: Socket, budget: number) => {
      let left = budget
      from.on('data', (bytes) => {
        if (done) return
        to.write(bytes.subarray(0, left))
        left -= bytes.length
        if (left > 0) return
        done = true
        cuts += 1
        // What has been let through shall arrive, so the end comes after it.
        to.end(cut)
      })
    }
    const budget = () => (cuts < CUTS ? 100 + Math.floor(random() * 3000) : Number.POSITIVE_INFINITY)
    carry(client, backend, budget())
    carry(backend, client, budget())
    for (const socket of both) {
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        sockets.delete(socket)
        if (!done) cut()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, cuts: () => cuts }
}

interface FromServer {
  readonly re?: number
  readonly push?: number
}

describe.skipIf(!canRun)('a session with the FastAPI server', () => {
  it.each([1, 2, 3])(
    'loses, doubles and reorders nothing over a line cut at random bytes (seed %i)',
    async (seed) => {
      const { port } = await startFastApi()
      const backend = `http://127.0.0.1:${port}`
      const cutter = await startCutter(port, seeded(seed))
      const connection = new GuruConnection({
        url: `ws://127.0.0.1:${cutter.port}/ws`,
        session: 'required',
        healthUrl: false,
        reconnectDelay: 20,
        stableAfter: 0,
      })
      cleanups.push(() => connection.dispose())
      const replies: number[] = []
      const pushes: number[] = []
      connection.handle((message) => {
        const { re, push } = message as FromServer
        if (re !== undefined) replies.push(re)
        if (push !== undefined) pushes.push(push)
      })

      const handled: Promise<unknown>[] = []
      const say = (n: number) => handled.push(connection.send({ n }).delivered)
      say(1)
      await until(() => replies.length === 1) // so there is a session to push to
      for (let sent = 1; sent <= COUNT; sent += 25) {
        for (let n = sent; n < sent + 25; n += 1) if (n > 1) say(n)
        const headers = { 'content-type': 'application/json' }
        await fetch(`${backend}/v1/push`, { method: 'POST', headers, body: '{"count":25}' })
        await new Promise((resolve) => setTimeout(resolve, 20)) // so the cuts meet traffic of every kind
      }
      await Promise.all(handled)
      await until(() => replies.length >= COUNT && pushes.length >= COUNT)

      const numbers = Array.from({ length: COUNT }, (_, i) => i + 1)
      const history = (await (await fetch(`${backend}/v1/history`)).json()) as { n: number }[]
      expect(history.map(({ n }) => n)).toEqual(numbers)
      expect(replies).toEqual(numbers)
      expect(pushes).toEqual(numbers)
      expect(cutter.cuts()).toBeGreaterThan(5)
    },
  )
})
