// Builds the studio's page to dist/studio: static files that need nothing from elsewhere.
import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  publicDir: false,
  logLevel: 'warn',
  plugins: [svelte({ configFile: false })],
  build: { outDir: '../dist/studio', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false, target: 'es2022' },
})
