// Every example runs from beginning to end, and ends by itself.

import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const folder = join(import.meta.dirname, '../examples')

describe('examples', () => {
  it.each(readdirSync(folder).filter((file) => file.endsWith('.ts')))('%s', async (file) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(folder, file)], {
      timeout: 120_000,
    })
    expect(stdout).not.toBe('')
    expect(stderr).toBe('')
  })
})
