/** Where a system Chromium usually stands. */
import { existsSync } from 'node:fs'

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** Path of a browser: CHROMIUM_PATH, or the first usual place that exists. */
export function findBrowser(): string | undefined {
  const chosen = process.env['CHROMIUM_PATH']
  return [...(chosen ? [chosen] : []), ...places].find((path) => existsSync(path))
}

/** Keeps the browser to this page: no sandbox (tests may run as root), no GPU, nothing sent anywhere. */
export const browserArguments = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The same with WebGPU, on SwiftShader where there is no graphics card. */
export const gpuArguments = [
  ...browserArguments.filter((argument) => argument !== '--disable-gpu'),
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
]
