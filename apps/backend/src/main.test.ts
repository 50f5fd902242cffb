// The main job as a person starts it: a process of its own, over the built package.

import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const main = join(import.meta.dirname, 'main.ts')
const running = new Set<ChildProcess>()

interface Ended {
  readonly status: number | null
  readonly out: string
  readonly errors: string
}

/** Starts it; `seen` resolves once its output holds a text. */
function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } })
  running.add(child)
  let out = ''
  let errors = ''
  const waiting = new Set<() => void>()
  child.stdout.on('data', (chunk) => {
    out += chunk
    for (const look of waiting) look()
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (status) => {
      running.delete(child)
      resolve({ status, out, errors })
    }),
  )
  const seen = (text: string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!out.includes(text)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
  return { child, ended, seen, output: () => out }
}

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
})

describe.concurrent('npm start -- --once', () => {
  it('holds a conversation over a line that is cut, loses nothing, and ends with status 0', async () => {
    const { status, out, errors } = await start(['--once', '--port', '0']).ended
    expect(errors).toBe('')
    expect(status).toBe(0)
    expect(out).toMatch(/3 questions · 3 answered · 0 lost · 0 duplicated · 1 cut, back after \d/)
    const steps = [
      'connecting',
      'open',
      '› What happens when the line is cut?',
      '✂ the line is cut in mid-sentence',
      'waiting',
      '› How does the circuit breaker decide?  queued, 1 waiting',
      '› Is a POST ever sent twice?  queued, 2 waiting',
      'connecting',
      'open        back after',
      // The answer that was cut goes on, to its end.
      'From docs/questions.md#what-happens-when-the-line-is-cut',
      '‹ to: How does the circuit breaker decide?',
      '‹ to: Is a POST ever sent twice?',
      'From docs/questions.md#is-a-post-ever-sent-twice',
      '3 answered',
    ]
    let at = 0
    for (const step of steps) {
      const next = out.indexOf(step, at)
      expect(next, `"${step}" behind the others in:\n${out}`).toBeGreaterThanOrEqual(at)
      at = next + step.length
    }
    // Into a pipe: no colours, and nothing wider than a terminal of 80 columns.
    expect(out).not.toContain('\x1b')
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('asks the model that it is given, and ends with status 1 when that cannot answer', async () => {
    const keys: unknown[] = []
    let calls = 0
    const model = createServer((request, response) => {
      request.resume()
      keys.push(request.headers.authorization)
      calls += 1
      if (calls === 3) {
        response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}')
        return
      }
      const delta = JSON.stringify({
        choices: [{ delta: { content: `It is what it is, \x1b[31m${calls}.` } }],
      })
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(`data: ${delta}\n\ndata: [DONE]\n\n`)
    })
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`
    const args = ['--once', '--port', '0', '--upstream', url, '--model', 'tiny']
    const { status, out, errors } = await start(args, { OPENAI_API_KEY: 'sk-very-secret' }).ended
    model.closeAllConnections()
    model.close()
    expect(out).toContain('tiny  at http://127.0.0.1')
    expect(out).toContain('It is what it is, [31m1.')
    expect(out).toMatch(/The model at .* failed/)
    expect(out).toContain('3 questions · 2 answered · 1 failed · 0 lost · 0 duplicated')
    expect(status).toBe(1)
    expect(keys).toEqual(Array(3).fill('Bearer sk-very-secret'))
    expect(out + errors).not.toContain('very-secret')
  })
})

describe.concurrent('npm start', () => {
  it('takes the next port when one is taken, and keeps serving until Ctrl-C', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const { child, ended, seen, output } = start(['--port', String(port)])
    await seen('Ctrl-C stops it')
    other.close()
    const [, url = ''] = /backend {4}(\S+) {2}port \d+ is taken/.exec(output()) ?? []
    expect(await (await fetch(`${url}/v1/health`)).json()).toEqual({ status: 'ok' })
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ status: 0, errors: '' })
    await expect(fetch(`${url}/v1/health`)).rejects.toThrow()
  })

  it('stops in mid-conversation when it is told to', async () => {
    const { child, ended, seen } = start(['--port', '0'])
    await seen('The connection')
    child.kill('SIGINT')
    const { status, out, errors } = await ended
    expect({ status, errors }).toEqual({ status: 130, errors: '' })
    expect(out).toContain('stopped before the end of the conversation')
  })

  it.each([
    [['--port', '99999'], '--port must be a whole number from 0 to 65535, got "99999"'],
    [['--upstream', 'http://localhost:1/v1'], '--upstream and --model go together'],
    [['--colour'], '--colour'],
  ])('%j is refused with status 2 and a word on what there is', async (args, message) => {
    const { status, out, errors } = await start(args).ended
    expect(status).toBe(2)
    expect(errors).toContain(message)
    expect(errors).toContain('--once')
    expect(out).toBe('')
  })

  it('--help tells what there is', async () => {
    const { status, out } = await start(['--help']).ended
    expect(status).toBe(0)
    expect(out).toContain('--upstream URL')
  })
})
