// The ways people answer a client without a server: the snippets of docs/testing.md that need their libraries (```js mocks), run as
// they stand.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { promisedOutput } from '../support/snippets.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/testing.md'), 'utf8')
const snippets = [...page.matchAll(/^### ([^\n]+)\n\n```js mocks\n(.*?)^```$/gms)].map(
  ([, title = '', code = '']) => [title, code] as const,
)

it('the page has one of each library', () => {
  expect(snippets.map(([title]) => title)).toEqual(['msw 2', 'nock 14', "undici's MockAgent"])
})

it.each(snippets)('%s', async (_title, code) => {
  // Evaluated in the package's own folder, where it finds itself by name.
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
    cwd: root,
  })
  const promised = promisedOutput({ name: '', language: 'js', code })
  expect(promised.length).toBeGreaterThan(0)
  expect(stdout.trim().split('\n')).toEqual(promised)
})
