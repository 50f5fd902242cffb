// Libraries that people use, on `client.fetch` with their own retries off; schemas of three libraries.

import type { ServerResponse } from 'node:http'
import { type } from 'arktype'
import { GraphQLClient } from 'graphql-request'
import { ApiClient, type SchemaError } from 'guru-comms'
import ky from 'ky'
import OpenAI from 'openai'
import * as v from 'valibot'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type ReadRequest, startServer } from '../support/misbehavingServer.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function setUp(handle: (request: ReadRequest, response: ServerResponse, count: number) => void) {
  let count = 0
  const server = await startServer((request, response) => {
    count += 1
    handle(request, response, count)
  })
  const client = new ApiClient({ retryDelay: 1 })
  cleanups.push(
    () => server.close(),
    () => client.dispose(),
  )
  return { server, client }
}

const json = (response: ServerResponse, body: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

describe('openai', () => {
  const completion = {
    id: 'c',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' } }],
  }
  const ask = { model: 'tiny', messages: [{ role: 'user' as const, content: 'Hi' }] }

  it('asks, and a 429 with Retry-After is repeated by us', async () => {
    const { server, client } = await setUp((request, response, count) => {
      expect(request.headers.authorization).toBe('Bearer key')
      if (count === 1) response.writeHead(429, { 'retry-after': '0' }).end()
      else json(response, completion)
    })
    const openai = new OpenAI({
      apiKey: 'key',
      baseURL: `${server.origin}/v1`,
      maxRetries: 0,
      fetch: client.fetch,
    })
    const { choices } = await openai.chat.completions.create(ask)
    expect(choices[0]?.message.content).toBe('Hello')
    expect(server.requests).toBe(2)
    expect(client.getStats().retries).toBe(1)
  })

  it('streams, and a POST that failed in doubt is not repeated', async () => {
    const { server, client } = await setUp((request, response) => {
      if (String(request.body).includes('"fail"')) {
        response.writeHead(500).end()
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const content of ['Hel', 'lo']) {
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`)
      }
      response.end('data: [DONE]\n\n')
    })
    const openai = new OpenAI({
      apiKey: 'key',
      baseURL: `${server.origin}/v1`,
      maxRetries: 0,
      fetch: client.fetch,
    })
    let text = ''
    for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? ''
    }
    expect(text).toBe('Hello')
    const failed = openai.chat.completions.create({ ...ask, model: 'fail' })
    await expect(failed).rejects.toMatchObject({ status: 500 })
    expect(server.requests).toBe(2)
  })
})

describe('ky', () => {
  it('gets JSON through our retries, and throws its own HTTPError', async () => {
    const { server, client } = await setUp((request, response, count) => {
      if (request.url === '/missing') json(response, { why: 'gone' }, 404)
      else json(response, { count }, count < 3 ? 503 : 200)
    })
    const api = ky.create({ fetch: client.fetch, retry: 0 })
    expect(await api.get(`${server.origin}/flaky`).json()).toEqual({ count: 3 })
    await expect(api.get(`${server.origin}/missing`)).rejects.toMatchObject({ name: 'HTTPError' })
  })
})

describe('graphql-request', () => {
  it('queries and reads errors', async () => {
    const { server, client } = await setUp((request, response) => {
      const { variables } = JSON.parse(String(request.body))
      if (variables.id === 1) json(response, { data: { user: { name: 'Ada' } } })
      else json(response, { errors: [{ message: 'no such user' }] })
    })
    const graphql = new GraphQLClient(`${server.origin}/graphql`, { fetch: client.fetch })
    const query = 'query ($id: Int) { user(id: $id) { name } }'
    expect(await graphql.request(query, { id: 1 })).toEqual({ user: { name: 'Ada' } })
    await expect(graphql.request(query, { id: 2 })).rejects.toThrow('no such user')
  })
})

describe('schemas', () => {
  const schemas = {
    zod: z.object({ name: z.string(), tags: z.array(z.string()) }),
    valibot: v.object({ name: v.string(), tags: v.array(v.string()) }),
    arktype: type({ name: 'string', tags: 'string[]' }),
  }

  it.each(Object.entries(schemas))(
    '%s gives the body its type and says where it is wrong',
    async (_name, schema) => {
      const { server, client } = await setUp((request, response) =>
        json(
          response,
          request.url === '/good' ? { name: 'Ada', tags: ['a'] } : { name: 'Ada', tags: ['a', 2] },
        ),
      )
      const good: { name: string; tags: string[] } = await client.get(`${server.origin}/good`, { schema })
      expect(good).toEqual({ name: 'Ada', tags: ['a'] })
      const error: SchemaError = await client
        .get(`${server.origin}/bad`, { schema })
        .catch((thrown) => thrown)
      expect(error).toMatchObject({ code: 'SCHEMA_MISMATCH', isSchemaError: true })
      expect(error.issues[0]?.path).toBe('tags[1]')
    },
  )
})
