"""Name -> class tables that trainers, datasets, backbones and evaluators enter themselves into."""

from .errors import RegistryError


class Registry:
    """A named table of objects, filled by a decorator or by a call.

    Example::

        TRAINER_REGISTRY = Registry("TRAINER")

        @TRAINER_REGISTRY.register()
        class MyTrainer: ...

        TRAINER_REGISTRY.get("MyTrainer")
    """

    def __init__(self, name):
        self._name = name
        self._objects = {}

    def register(self, obj=None, force=False):
        """Enter an object under its ``__name__``.

        Without ``obj`` a decorator is returned, which hands the object back unchanged. With ``obj``
        the result is None. ``force`` replaces an earlier entry, which keeps its place in the list.
        Raises RegistryError: (a KeyError) the name is taken and ``force`` is False.
        """
        if obj is not None:
            self._enter(obj, force)
            return None

        def decorate(decorated):
            self._enter(decorated, force)
            return decorated

        return decorate

    def _enter(self, obj, force):
        name = obj.__name__
        if name in self._objects and not force:
            raise RegistryError(f'An object named "{name}" was already registered in "{self._name}" registry')
        self._objects[name] = obj

    def get(self, name):
        """Return the object entered under ``name``. Raises RegistryError (a KeyError) if there is none."""
        if name not in self._objects:
            raise RegistryError(f'Object name "{name}" does not exist in "{self._name}" registry')
        return self._objects[name]

    def registered_names(self):
        """Return the names as a list, in the order of their first registration."""
        return list(self._objects)

    def __contains__(self, name):
        return name in self._objects

    def __repr__(self):
        return f"Registry({self._name!r}, {self.registered_names()})"
