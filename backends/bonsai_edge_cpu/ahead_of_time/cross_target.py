"""Makes Numba compile for a named machine instead of this one, to objects instead of memory."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target


class CrossLibrary(AOTCodeLibrary):  # type: ignore[misc]
    """Code that is optimized once, when all of it has been linked together, and never run here.

    Numba would optimize each function by itself and again in every function that calls it.
    """

    def _optimize_functions(self, ll_module: binding.ModuleRef) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is nothing here that this machine could call."""
        return 0

    def object_with(self, public: set[str]) -> bytes:
        """Return an object file in which only the functions named `public` can be seen, to be linked into a library."""
        with global_compiler_lock:
            self._ensure_finalized()
        module = self._final_module
        for function in module.functions:
            if not function.is_declaration:
                function.linkage = "external" if function.name in public else "internal"
                function.visibility = "hidden" if function.name in public else "default"
        for variable in module.global_variables:
            variable.linkage = "internal"
        AOTCodeLibrary._optimize_final_module(self)
        emitted: bytes = self._codegen._tm.emit_object(module)
        return emitted


class CrossCodegen(AOTCPUCodegen):  # type: ignore[misc]
    """Numba's code generator for a machine in LLVM's words: a triple, a processor, and features such as "+dotprod"."""

    _library_class = CrossLibrary

    def __init__(self, triple: str, processor: str, features: str) -> None:
        self._triple = triple
        self._features = features
        super().__init__("bonsai_edge", processor)

    def _init(self, llvm_module: binding.ModuleRef) -> None:
        llvm_module.triple = self._triple
        self._tm_features = self._features
        target = binding.Target.from_triple(self._triple)
        self._tm = target.create_target_machine(
            cpu=self._cpu_name, features=self._features, opt=3, reloc="pic", codemodel="default"
        )
        self._target_data = self._tm.target_data
        self._data_layout = str(self._target_data)
        self._loopvect, self._opt_level = False, 0

    def _create_empty_module(self, name: str) -> ir.Module:
        module = super()._create_empty_module(name)
        module.triple = self._triple
        return module

    def _get_host_cpu_name(self) -> str:
        return str(self._cpu_name)

    def set_env(self, env_name: str, env: Any) -> None:
        """Do nothing: what Numba keeps for raising exceptions has no place in an object file."""


def compile_for(triple: str, processor: str, features: str) -> None:
    """Let all that Numba compiles from now on in this process be for that machine."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    cpu_target.target_context._internal_codegen = CrossCodegen(triple, processor, features)
