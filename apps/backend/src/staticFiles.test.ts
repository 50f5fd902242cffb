// The playground's files, through a real backend.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Backend, createBackend } from 'guru-comms/server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveFiles } from './staticFiles.ts'

const outside = mkdtempSync(join(tmpdir(), 'guru-static-'))
const folder = join(outside, 'dist')
let backend: Backend

beforeAll(async () => {
  mkdirSync(join(folder, 'assets'), { recursive: true })
  writeFileSync(join(outside, 'secret.txt'), 'the secret')
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>here</title>')
  writeFileSync(join(folder, 'assets/app-1a2b.js'), 'export {}')
  backend = await createBackend({ port: 0, onRequest: serveFiles(folder) })
})
afterAll(async () => {
  await backend.close({ graceMs: 0 })
  rmSync(outside, { recursive: true })
})

/** Asks for a path exactly as it is written: clients tidy it up. */
function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    connect(backend.port, '127.0.0.1')
      .on('data', (chunk) => {
        answer += chunk
      })
      .on('end', () => resolve(answer))
      .on('error', reject)
      .write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
  })
}

describe('the files of the playground', () => {
  it('are served with their types; the page is asked for anew, what carries a hash is kept', async () => {
    const page = await fetch(backend.url)
    expect(await page.text()).toContain('<title>here</title>')
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(page.headers.get('cache-control')).toBe('no-cache')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    const script = await fetch(`${backend.url}/assets/app-1a2b.js`)
    expect(await script.text()).toBe('export {}')
    expect(script.headers.get('cache-control')).toContain('immutable')
  })

  it('have a head without a body', async () => {
    const answer = await fetch(`${backend.url}/index.html`, { method: 'HEAD' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe('34')
    expect(await answer.text()).toBe('')
  })

  it.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/..%5csecret.txt',
    '//../secret.txt',
    '/assets',
    '/assets/',
    '/nowhere.js',
    '/index.html%00.js',
  ])('%s is not one of them', async (path) => {
    const answer = await get(path)
    expect(answer).toMatch(/^HTTP\/1\.1 404 /)
    expect(answer).not.toContain('the secret')
  })

  it('are read, not written', async () => {
    expect((await fetch(`${backend.url}/index.html`, { method: 'PUT', body: 'x' })).status).toBe(404)
  })
})
