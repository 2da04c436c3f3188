"""The `webgpu` backend: WGSL kernels on whatever GPU has Vulkan, Metal or DirectX 12."""
